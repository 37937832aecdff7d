default_scope = "mmdet"
# Overwritten, not merged, by a child config: name derain_plugin again there.
# The second makes hf:// known where no Runner loads the weights, as in mmdet's init_detector.
custom_imports = dict(
    imports=["derain_plugin", "derain_plugin.hf.mmengine_scheme"], allow_failed_imports=False
)
runner_type = "SettingsRunner"  # for mmdet's own tools

default_hooks = dict(
    timer=dict(type="IterTimerHook"),
    logger=dict(type="LoggerHook", interval=50),
    param_scheduler=dict(type="ParamSchedulerHook"),
    checkpoint=dict(
        type="CrashSafeCheckpointHook",
        interval=1,
        max_keep_ckpts=3,
        save_best="rainy/coco/bbox_mAP",
    ),
    phases=dict(type="PhasedTrainingHook"),  # without phases: resumes by name
    safe_files=dict(type="SafeFilesHook"),
    label_map=dict(type="LabelMapHook"),  # a checkpoint's class names are the config's
    settings=dict(type="SettingsHook"),  # refuses those that only runner_type would fill in
    sampler_seed=dict(type="EpochSeedHook"),
    resume_validation=dict(type="ResumeValidationHook"),
    sync_buffers=dict(type="SyncBuffersHook"),  # of BatchNorm, at the end of each epoch
    skip_non_finite=dict(type="SkipNonFiniteHook"),
    visualization=dict(type="RainyVisualizationHook"),
)

env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method="fork", opencv_num_threads=0),
    dist_cfg=dict(backend="nccl"),
)

vis_backends = [dict(type="LocalVisBackend")]
visualizer = dict(type="DetLocalVisualizer", vis_backends=vis_backends, name="visualizer")
log_processor = dict(type="LogProcessor", window_size=50, by_epoch=True)
log_level = "INFO"
load_from = None
resume = False
randomness = dict(seed=0)
