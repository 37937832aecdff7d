_base_ = "../../../../configs/spdnet_rain.py"
