from derain_plugin.evaluation.clean_rain_evaluator import CleanRainEvaluator
from derain_plugin.evaluation.named_coco_metric import NamedCocoMetric
from derain_plugin.evaluation.restoration_metric import RestorationMetric

__all__ = ["CleanRainEvaluator", "NamedCocoMetric", "RestorationMetric"]
