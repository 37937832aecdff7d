from derain_plugin.evaluation.clean_rain_evaluator import CleanRainEvaluator

__all__ = ["CleanRainEvaluator"]
