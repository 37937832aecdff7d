"""Detectors as files for ONNX Runtime, OpenVINO and TensorRT.

Empty on purpose: writing needs the packages of ``derain_plugin[export]``, running only one of them.
"""
