"""What an operator's programs promise as the power of a host, in every way to reach one."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from reconciler.drivers.power import command
from reconciler.drivers.power.host_power.deps import Reach
from reconciler.drivers.power.host_power.refusals import Refusals
from reconciler.edge.clock import SystemClock
from reconciler.edge.loop_scope import LoopScope
from reconciler.errors import Declined, DriverError
from reconciler.model import power
from reconciler.model.facts import Known, Unknown
from reconciler.model.spec import Capabilities
from tests.contracts.hosts import here
from tests.contracts.power import said, script

if TYPE_CHECKING:
    from pathlib import Path

    from reconciler.ports import Access

PRIVATE = "hunter2-Wörd"
NAME = f"`{sys.executable}`"


def driver(via: Access | None = None, **options: Any) -> command.Driver:
    access = via or here("/nowhere")
    return command.Driver(
        command.Options.model_validate(options),
        Reach("gpu1", here("/nowhere"), access, Refusals(SystemClock()), LoopScope()),
    )


async def told(**options: Any) -> power.Testimony:
    return await said(driver(**options))


async def test_a_program_runs_where_it_is_to_run_with_its_words_and_its_secrets(
    access: Access, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ILO_SECRET", PRIVATE)
    text = "open(sys.argv[1], 'w').write(repr([os.environ['ILO'], sys.argv[2:]])); print('asked')"
    words = script(text, str(tmp_path / "seen"), "{host}", "a b", "$HOME;*")
    evidence = await driver(access, wake=words, env={"ILO": {"from_env": "ILO_SECRET"}}).wake()
    assert evidence == {"ran": sys.executable, "said": "asked"}
    assert (tmp_path / "seen").read_text() == repr([PRIVATE, ["{host}", "a b", "$HOME;*"]])


@pytest.mark.parametrize(("code", "state"), [(0, "on"), (1, "off"), (3, "suspended")])
async def test_a_state_is_told_by_the_exit_code_and_the_first_line_is_quoted(
    access: Access, code: int, state: str
) -> None:
    fact = await driver(
        access, state=script(f"print('slot 3: yes'); print('more'); sys.exit({code})")
    ).testimony()
    assert fact == Known(
        power.Testimony.model_validate({"state": state, "words": f'{NAME} says "slot 3: yes"'})
    )


@pytest.mark.parametrize("code", [2, 4, 126, 127, 255])
async def test_any_other_exit_code_tells_nothing(code: int) -> None:
    seen = await told(state=script(f"print('one'); print('two'); sys.exit({code})"))
    assert seen == power.Testimony(state=None, words=f"{NAME} ended with {code}: one / two")


async def test_a_silent_program_tells_by_its_exit_code_alone() -> None:
    assert await told(state=script("sys.exit(1)")) == power.Testimony(
        state="off", words=f"{NAME} ended with 1"
    )


async def test_a_program_that_crashes_does_not_make_a_host_off() -> None:
    seen = await told(state=script("raise RuntimeError('no route')"))
    assert seen.state is None
    assert seen.words.endswith("RuntimeError: no route")


async def test_a_program_that_a_signal_ended_tells_nothing() -> None:
    seen = await told(state=script("os.kill(os.getpid(), 9)"))
    assert seen == power.Testimony(
        state=None, words=f"{NAME} was ended by signal 9: it wrote nothing"
    )


async def test_a_program_that_takes_too_long_tells_nothing(access: Access) -> None:
    fact = await driver(access, state=script("time.sleep(60)"), seconds=0.3).testimony()
    assert fact == Unknown(f"whether gpu1 is on was not told: {NAME} did not end within 0.3 s")


async def test_a_program_that_is_not_there_tells_nothing(access: Access) -> None:
    fact = await driver(access, state=["/nowhere/virsh"]).testimony()
    assert fact == Unknown(
        "whether gpu1 is on was not told: `/nowhere/virsh` cannot be run: there is no such file or"
        " directory"
    )


FAILS = "print('out'); [print(f'line {n}', file=sys.stderr) for n in range(5)]; sys.exit(7)"


async def test_a_wake_that_fails_says_how_with_its_last_lines() -> None:
    with pytest.raises(DriverError) as caught:
        await driver(wake=script(FAILS)).wake()
    assert caught.value.message == f"waking gpu1: {NAME} ended with 7: line 2 / line 3 / line 4"


async def test_a_stop_or_a_cut_that_fails_was_declined() -> None:
    with pytest.raises(Declined) as caught:
        await driver(stop=script(FAILS)).send_down("off")
    assert (
        caught.value.message == f"shutting gpu1 down: {NAME} ended with 7: line 2 / line 3 / line 4"
    )
    with pytest.raises(Declined, match="cutting the power of gpu1: .* ended with 7"):
        await driver(cut=script(FAILS)).cut()


@pytest.mark.parametrize("end", ["sys.exit(255)", "os.kill(os.getpid(), 9)", "time.sleep(60)"])
async def test_a_stop_or_a_cut_that_broke_off_is_in_doubt(end: str) -> None:
    seconds = 0.3 if "sleep" in end else 30
    with pytest.raises(DriverError) as stopped:
        await driver(stop=script(end), seconds=seconds).send_down("off")
    with pytest.raises(DriverError) as cut:
        await driver(cut=script(end), seconds=seconds).cut()
    assert not isinstance(stopped.value, Declined)
    assert not isinstance(cut.value, Declined)


async def test_a_stop_or_a_cut_that_ends_well_was_accepted() -> None:
    both = driver(stop=script("print('going')"), cut=script("print('cut', file=sys.stderr)"))
    assert await both.send_down("off") == {"ran": sys.executable, "said": "going"}
    assert await both.cut() == {"ran": sys.executable, "said": "cut"}


async def test_what_is_not_given_is_declined() -> None:
    only_wakes = driver(wake=script(""))
    with pytest.raises(Declined, match="no program is given"):
        await only_wakes.cut()
    assert isinstance(await only_wakes.testimony(), Unknown)
    assert await driver(stop=script("")).wake_problem() == "no `wake` is given for gpu1"


async def test_a_wake_that_could_not_run_is_known_before_the_host_goes_down(access: Access) -> None:
    assert await driver(access, wake=script("")).wake_problem() == ""
    said = await driver(access, wake=["no-such-waker", "gpu1"]).wake_problem()
    assert said.startswith(
        "`no-such-waker` could not wake gpu1 again: there is no program no-such-waker on this"
        " host's PATH"
    )
    missing = await driver(
        access, wake=script(""), env={"A": {"from_env": "NOT_SET_ANYWHERE"}}
    ).wake_problem()
    assert "NOT_SET_ANYWHERE, which is not set here" in missing


async def test_a_secret_that_is_not_there_stops_everything_before_it_begins(tmp_path: Path) -> None:
    touch = script("open(sys.argv[1], 'w')", str(tmp_path / "ran"))
    lacking = driver(wake=touch, state=touch, env={"A": {"from_file": str(tmp_path / "missing")}})
    with pytest.raises(DriverError, match="the secret in .* cannot be read"):
        await lacking.wake()
    assert isinstance(await lacking.testimony(), Unknown)
    assert not (tmp_path / "ran").exists()


async def test_a_secret_that_a_program_repeats_is_shown_to_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TWO_LINES", f"{PRIVATE}\nsecond-half")
    says = (
        "print('key', os.environ['A']); print(os.environ['A'], file=sys.stderr);"
        " sys.exit(int(sys.argv[1]))"
    )
    texts = [
        str(await told(state=script(says, code), env={"A": {"from_env": "TWO_LINES"}}))
        for code in ("0", "2")
    ]
    for code in ("0", "5", "255"):
        one = driver(
            wake=script(says, code), cut=script(says, code), env={"A": {"from_env": "TWO_LINES"}}
        )
        texts.append(json.dumps(one.options.model_dump(mode="json")))
        for order in (one.wake, one.cut):
            try:
                texts.append(str(await order()))
            except DriverError as error:
                texts.append(error.message)
    assert not [text for text in texts if PRIVATE in text or "second-half" in text]
    assert 'says "key ***"' in texts[0]


def test_capabilities_follow_from_what_is_given() -> None:
    words = ["true"]
    expected = {
        "wake": Capabilities(can_wake=True),
        "stop": Capabilities(can_shut_down=True),
        "state": Capabilities(can_testify=True),
        "cut": Capabilities(can_cut=True),
    }
    for given, can in expected.items():
        assert command.capabilities(command.Options.model_validate({given: words})) == can
    everything = command.Options.model_validate(dict.fromkeys(expected, words))
    assert command.capabilities(everything) == command.CAPABILITIES


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "give at least one of `wake`, `stop`, `state` and `cut`"),
        ({"wake": []}, "at least 1 item"),
        ({"wake": ["bin/wake"]}, "expected a name on the PATH or a path that begins with /"),
        ({"wake": [""]}, "expected a name on the PATH"),
        ({"wake": ["a", "b\0c"]}, "should match pattern"),
        ({"wake": "wakeonlan aa:bb"}, "valid tuple"),
        ({"wake": ["a"], "env": {"A": "plain"}}, "env.A"),
        ({"wake": ["a"], "env": {"A=B": {"from_env": "X"}}}, "should match pattern"),
        ({"wake": ["a"], "seconds": 0}, "greater than 0"),
    ],
)
def test_options_that_say_nothing_usable_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        command.Options.model_validate(options)
    assert said in str(caught.value)
