import pytest

from derain_plugin.engine.hooks.phase import (
    Phase,
    check_patterns,
    covers,
    epochs_that_fit,
    parse_phases,
)

NAMES = [
    "backbone.conv1.weight",
    "neck.derain.gate",
    "neck.neck.conv.weight",
    "neck.neck.conv.bias",
]


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("neck.derain", "neck.derain.gate", True),
        ("neck.derain.gate", "neck.derain.gate", True),
        ("neck.derain", "neck.derainer.gate", False),
        ("derain", "neck.derain.gate", False),
        ("neck.derain.gate.weight", "neck.derain.gate", False),
        ("*", "neck.derain.gate", True),
        ("neck.*.conv", "neck.neck.conv.weight", True),
        ("neck.*.weight", "neck.neck.conv.weight", False),
        ("backbone.conv?", "backbone.conv1.weight", True),
    ],
)
def test_pattern_names_a_parameter_or_a_module_above_it(pattern, name, expected):
    assert covers(pattern, name) is expected


def test_longest_pattern_rules():
    phase = Phase("p", epochs=(1, 1), lr={"*": 1.0, "neck.derain": 2.0, "neck": 3.0})
    assert [phase.pattern_of(name) for name in NAMES] == ["*", "neck.derain", "neck", "neck"]


def test_what_no_pattern_covers_is_frozen():
    assert Phase("p", epochs=(1, 1), lr={"neck": 1.0}).pattern_of(NAMES[0]) is None


def test_equally_long_patterns_are_ambiguous():
    phase = Phase("p", epochs=(1, 1), lr={"neck.de*": 1.0, "neck.*in": 2.0})
    with pytest.raises(ValueError, match=r"'neck\.de\*' and 'neck\.\*in' both cover 'neck\.derain"):
        phase.pattern_of("neck.derain.gate")


def phase_config(first, last, name="p", **lr):
    return dict(name=name, epochs=(first, last), lr=lr or {"*": 1e-3})


@pytest.mark.parametrize(
    ("epochs", "message"),
    [
        ([], "empty"),
        ([(1, 5), (5, 15)], "overlap.*5-15.*should start with epoch 6"),
        ([(1, 5), (7, 15)], "gap.*7-15.*should start with epoch 6"),
        ([(2, 5)], "gap.*2-5.*should start with epoch 1"),
        ([(6, 15), (1, 5)], "gap"),
        ([(0, 5)], "1 <= first"),
        ([(5, 1)], r"first <= last epoch, got \(5, 1\)"),
        ([(1, 2.5)], r"got \(1, 2.5\)"),
        ([(1, True)], r"got \(1, True\)"),
    ],
)
def test_epochs_must_be_claimed_once_each(epochs, message):
    with pytest.raises(ValueError, match=message):
        parse_phases([phase_config(*pair) for pair in epochs])


@pytest.mark.parametrize("epochs", [5, (1, 2, 3), None])
def test_epochs_must_be_a_pair(epochs):
    with pytest.raises(ValueError, match=r"epochs=\(first, last\)"):
        Phase("p", epochs=epochs, lr={"*": 1.0})


@pytest.mark.parametrize("rate", [0, -1e-3, float("nan"), float("inf"), "1e-3", None])
def test_rate_must_be_above_zero(rate):
    with pytest.raises(ValueError, match=r"phase 'p'.*'head'.*leave the pattern out"):
        Phase("p", epochs=(1, 1), lr={"head": rate})


@pytest.mark.parametrize("lr", [{}, 1e-3, None])
def test_rates_must_be_given_by_pattern(lr):
    with pytest.raises(ValueError, match=r"lr=\{pattern: rate\}"):
        Phase("p", epochs=(1, 1), lr=lr)


def test_pattern_that_matches_nothing_is_named_with_close_ones():
    phases = [Phase("p", epochs=(1, 1), lr={"neck.derian": 1.0})]
    with pytest.raises(ValueError, match=r"'neck\.derian' matches no.*'neck\.derain'"):
        check_patterns(phases, trainable=NAMES, every=NAMES)


@pytest.mark.parametrize("lr", [{"backbone": 1.0}, {"neck.neck": 1.0, "neck.neck.conv": 2.0}])
def test_pattern_that_trains_nothing_is_an_error(lr):
    with pytest.raises(ValueError, match=f"{next(iter(lr))!r} trains nothing"):
        check_patterns([Phase("p", epochs=(1, 1), lr=lr)], trainable=NAMES[1:], every=NAMES)


def spans(phases):
    return {phase.name: tuple(phase.epochs) for phase in phases}


def test_phases_by_name_come_in_the_order_of_their_epochs_and_none_leaves_one_out():
    rates = {"a": 1.0}
    by_name = dict(
        last=dict(epochs=(4, None), lr=rates), gone=None, first=dict(epochs=(1, 3), lr=rates)
    )
    assert list(spans(parse_phases(by_name)).items()) == [("first", (1, 3)), ("last", (4, None))]


def test_rates_of_a_command_line_are_those_of_dotted_patterns():
    phase = Phase("a", (1, None), {"neck.derain": 1e-3, "*": 1e-5, "neck": {"derain": 2e-3}})
    assert phase.lr == {"neck.derain": 2e-3, "*": 1e-5}


def test_nothing_follows_a_phase_without_end():
    phases = dict(a=dict(epochs=(1, None), lr={"a": 1}), b=dict(epochs=(2, 3), lr={"a": 1}))
    with pytest.raises(ValueError, match=r"overlap: phase 'b' .* 2-3, but should not follow"):
        parse_phases(phases)


@pytest.mark.parametrize("bad", [dict(a=dict(epochs=(1, 2))), dict(a=3), "a", [dict(a=1)]])
def test_what_is_no_phase_is_refused(bad):
    with pytest.raises(ValueError, match=r"phase"):
        parse_phases(bad)


@pytest.mark.parametrize(
    ("epochs", "length", "expected"),
    [
        ([(1, 5), (6, 15)], 20, dict(b=(6, None))),
        ([(1, 5), (6, 15)], 8, dict(b=(6, None))),
        ([(1, 5), (6, 15)], 2, dict(a=(1, 1), b=(2, None))),
        ([(1, 5), (6, None)], 4, dict(a=(1, 3), b=(4, None))),
        ([(1, 8), (9, 12), (13, None)], 3, dict(a=(1, 1), b=(2, 2), c=(3, None))),
    ],
)
def test_proposed_epochs_make_phases_that_fit(epochs, length, expected):
    phases = [Phase(name, span, {"a": 1}) for name, span in zip("abc", epochs, strict=False)]
    found = epochs_that_fit(phases, length)
    assert found == expected
    after = spans(phases) | found
    parsed = parse_phases({name: dict(epochs=span, lr={"a": 1}) for name, span in after.items()})
    assert parsed[-1].first_epoch <= length
