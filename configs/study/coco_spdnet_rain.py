_base_ = "../spdnet_rain.py"
