import pytest
import torch
from phased_runner import Stop, build_runner

EPOCHS = 8
PHASES = [
    dict(name="derain", epochs=(1, 4), lr={"neck.derain": 1e-3}),
    dict(name="joint", epochs=(5, EPOCHS), lr={"*": 1e-4}),
]


def train(work_dir, scores, *, resume_from=None, crash_after=None, phases=PHASES, **kwargs):
    """Train until it stops; return the last epoch and the epochs that were validated."""
    stop = () if crash_after is None else (Stop(crash_after),)
    runner = build_runner(
        work_dir,
        phases=phases,
        epochs=EPOCHS,
        batches=1,
        scores=scores,
        hooks=(
            dict(type="ResumeValidationHook"),
            dict(type="PhasedEarlyStoppingHook", monitor="acc", **kwargs),
            *stop,
        ),
        load_from=resume_from and str(resume_from),
        resume=resume_from is not None,
    )
    try:
        runner.train()
    except KeyboardInterrupt:
        assert crash_after == runner.epoch + 1
    return runner.epoch, runner.val_evaluator.metrics[0].asked


@pytest.mark.parametrize(
    ("scores", "last"),
    [
        pytest.param([0.9] + [0.1] * 7, 8, id="earlier phases do not count"),
        pytest.param([0.1] * 4 + [0.5, 0.5, 0.4, 0.3], 8, id="patience 3 ends with the last epoch"),
        pytest.param([0.1, 0.2, 0.3, 0.9, 0.5, 0.501, 0.502, 0.503], 8, id="0.001 is a gain"),
    ],
)
def test_counts_in_the_last_phase_only(tmp_path, scores, last):
    assert train(tmp_path, scores)[0] == last


def test_stops_after_patience_validations_without_gain(tmp_path):
    phases = [dict(PHASES[0], epochs=(1, 2)), dict(PHASES[1], epochs=(3, EPOCHS))]
    assert train(tmp_path, [0.0, 0.0, 0.5, 0.5, 0.4, 0.5, 0.9, 0.9], phases=phases)[0] == 6


def test_patience_is_an_option(tmp_path):
    assert train(tmp_path, [0.5] * EPOCHS, patience=1)[0] == 6


@pytest.mark.parametrize("resumed", [1, 4, 5, 6, 7])
def test_resume_stops_where_the_whole_run_stops(tmp_path, resumed):
    scores = [0.0] * 4 + [0.5, 0.4, 0.3, 0.9]
    assert train(tmp_path / "whole", scores, patience=2)[0] == 7
    last, validated = train(
        tmp_path / "again",
        scores,
        patience=2,
        resume_from=tmp_path / "whole" / f"epoch_{resumed}.pth",
    )
    assert last == 7
    assert validated[0] == resumed  # it came after the checkpoint, so it is done again


def test_crash_before_the_validation_loses_nothing(tmp_path):
    scores = [0.0] * 4 + [0.5, 0.4, 0.3, 0.9]
    assert train(tmp_path, scores, patience=2, crash_after=6) == (5, [1, 2, 3, 4, 5])
    resumed = train(tmp_path, scores, patience=2, resume_from=tmp_path / "epoch_6.pth")
    assert resumed == (7, [6, 7])


def test_state_is_plain_numbers(tmp_path):
    train(tmp_path, [torch.tensor(0.5).numpy()] * EPOCHS, patience=2)
    state = torch.load(tmp_path / "epoch_7.pth", weights_only=False)["early_stopping"]
    assert state == dict(wait_count=1, best_score=0.5)
    assert {type(value) for value in state.values()} == {int, float}


def test_loading_weights_only_starts_counting_anew(tmp_path):
    train(tmp_path / "whole", [0.9] * EPOCHS, patience=2)
    runner = build_runner(
        tmp_path / "again",
        phases=PHASES,
        epochs=EPOCHS,
        batches=1,
        scores=[0.0] * 4 + [0.1, 0.2, 0.3, 0.4],
        hooks=(dict(type="PhasedEarlyStoppingHook", monitor="acc"),),
        load_from=str(tmp_path / "whole" / "epoch_7.pth"),
    )
    runner.train()
    assert runner.epoch == EPOCHS


def test_test_alone_builds_no_training_data(tmp_path):
    runner = build_runner(
        tmp_path,
        train_dataloader=dict(dataset=dict(type="NoSuchDataset"), batch_size=1),
        hooks=(dict(type="PhasedEarlyStoppingHook", monitor="acc"),),
    )
    runner.val_evaluator.metrics[0].compute_metrics = lambda results: dict(acc=0.5)
    assert runner.val() == {"acc": 0.5}


def test_needs_phases(tmp_path):
    hooks = [dict(type="PhasedEarlyStoppingHook", monitor="acc")]
    runner = build_runner(tmp_path, custom_hooks=hooks)
    with pytest.raises(ValueError, match="needs one PhasedTrainingHook with phases, got 0"):
        runner.train()
