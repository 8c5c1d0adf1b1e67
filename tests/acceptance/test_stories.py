"""Stories of one group's life: when its receivers are told, what, and why. All play at once on one running amproxy."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import pytest

from tests.support.acceptance import pushing
from tests.support.acceptance.catcher import Late
from tests.support.acceptance.moments import check_moments, check_ticks, rfc3339, unix
from tests.support.acceptance.stage import (
    ALL,
    FIRST,
    NEW,
    REPEAT,
    SOME,
    TICK,
    WAIT,
    Stage,
    Story,
    brief,
    playing,
)
from tests.support.standins.webhook import Answer

pytestmark = pytest.mark.clock

STORIES: dict[str, Story] = {}
Play = Callable[[Stage], None]


def story(*webhooks: dict[str, Any], **route: str) -> Callable[[Play], Play]:
    """Put a function among the stories, with the settings of its route and its webhooks (one with nothing set, if none is given)."""

    def keep(play: Play) -> Play:
        STORIES[play.__name__] = Story(play, route, webhooks or ({},))
        return play

    return keep


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[None]]]:
    with playing(STORIES, tmp_path_factory.mktemp("stories")) as results:
        yield results


# ------------------------------------------------------------------------------------------------ what is told, and when


@story()
def alerts_that_come_while_a_group_waits_share_its_first_message(stage: Stage) -> None:
    stage.fires("a")
    stage.at(0.2)
    stage.fires("b", "c")
    stage.expect((WAIT, "a b c", FIRST), until=WAIT + 2 * TICK)


@story()
def later_alerts_come_at_the_next_tick_together_with_the_old_ones(stage: Stage) -> None:
    stage.fires("a")
    stage.at(0.7)
    stage.fires("b")
    stage.at(1.2)
    stage.fires("c")
    stage.at(1.9)
    stage.fires("d")
    stage.expect((WAIT, "a", FIRST), (1.5, "a b c", NEW), (2.5, "a b c d", NEW), until=4.4)


@story(repeat_interval="3s")
def a_batch_is_repeated_when_the_repeat_interval_is_over_counted_from_the_last_message(
    stage: Stage,
) -> None:
    stage.fires("a", "e")
    stage.at(1.7)
    stage.fires("b", "c", "d")
    stage.expect(
        (WAIT, "a e", FIRST),
        (2.5, "a b c d e", NEW),
        (5.5, "a b c d e", REPEAT),
        (8.5, "a b c d e", REPEAT),
        until=9.0,
    )


@story(repeat_interval="1ms")
def a_repeat_interval_shorter_than_the_group_interval_repeats_at_each_tick_word_for_word(
    stage: Stage,
) -> None:
    stage.fires("a")
    stage.expect(
        (WAIT, "a", FIRST), *((WAIT + tick, "a", REPEAT) for tick in (1, 2, 3, 4)), until=WAIT + 4.5
    )
    came = stage.catcher.came(stage.path())
    assert len({request.body for request in came[1:]}) == 1
    check_ticks([request.at for request in came], TICK, stage.name)


@story(repeat_interval="1ms")
def the_same_alert_from_two_senders_is_one_alert_with_the_earlier_start(stage: Stage) -> None:
    now = time.time()
    pushing.push(
        stage.url,
        pushing.alert(stage.labels("a"), starts=now, ends=now + 600, annotations={"by": "one"}),
    )
    pushing.push(
        stage.url,
        pushing.alert(stage.labels("a"), starts=now - 5, ends=now + 300, annotations={"by": "two"}),
    )
    stage.at(0.9)
    pushing.push(
        stage.url,
        pushing.alert(
            stage.labels("a"), starts=now - 2, ends=now + 400, annotations={"by": "three"}
        ),
    )
    stage.at(1.9)
    ended = time.time()
    pushing.push(
        stage.url,
        pushing.alert(stage.labels("a"), starts=now - 5, ends=ended, annotations={"by": "four"}),
    )
    stage.expect((WAIT, "a", FIRST), (1.5, "a", REPEAT), (2.5, "-a", ALL), until=4.4)
    alerts = [payload["alerts"][0] for payload in stage.payloads()]
    assert [alert["annotations"]["by"] for alert in alerts] == ["two", "three", "four"]
    assert [unix(alert["startsAt"]) for alert in alerts] == pytest.approx([now - 5] * 3, abs=0.001)
    assert [unix(alert["endsAt"]) for alert in alerts] == [
        None,
        None,
        pytest.approx(ended, abs=0.001),
    ]


@story()
def an_alert_that_fires_for_longer_than_group_wait_is_told_at_once(stage: Stage) -> None:
    now = time.time()
    pushing.push(stage.url, pushing.alert(stage.labels("a"), starts=now - 100, ends=now + 600))
    stage.at(0.3)
    stage.fires("b")
    stage.expect((0.0, "a", FIRST), (1.0, "a b", NEW), until=2.6)


@story()
def a_resolved_alert_is_told_once_and_then_left_out(stage: Stage) -> None:
    stage.fires("a", "b")
    stage.at(0.9)
    stage.resolves("a")
    stage.at(1.9)
    stage.fires("c")
    stage.at(2.9)
    stage.resolves("b", "c")
    stage.expect(
        (WAIT, "a b", FIRST), (1.5, "-a b", SOME), (2.5, "b c", NEW), (3.5, "-b -c", ALL), until=5.6
    )
    assert [payload["status"] for payload in stage.payloads()] == [
        "firing",
        "firing",
        "firing",
        "resolved",
    ]


@story()
def what_is_over_before_anybody_was_told_is_never_told(stage: Stage) -> None:
    stage.fires("a")
    stage.at(0.2)
    stage.resolves("a")
    stage.expect(until=2.5)


@story({"send_resolved": False})
def without_send_resolved_the_end_is_quiet_and_the_next_firing_is_news(stage: Stage) -> None:
    stage.fires("a", "b")
    stage.at(0.9)
    stage.resolves("a")
    stage.at(1.9)
    stage.resolves("b")
    stage.at(3.2)
    stage.fires("a")
    stage.expect((WAIT, "a b", FIRST), (3.7, "a", FIRST), until=5.0)


# -------------------------------------------------------------------------------------------------------- what is muted


@story()
def an_inhibited_alert_is_told_when_its_source_is_over(stage: Stage) -> None:
    source, target = stage.labels("s", role="source"), stage.labels("t", role="target")
    pushing.fires(stage.url, source)
    pushing.fires(stage.url, target)
    stage.expect((WAIT, "s", FIRST), until=2.2)
    pushing.resolves(stage.url, source)
    stage.expect((WAIT, "s", FIRST), (2.5, "-s t", NEW), until=4.0)


@story()
def an_alert_that_was_told_is_not_repeated_or_ended_while_inhibited(stage: Stage) -> None:
    target = stage.labels("t", role="target")
    pushing.fires(stage.url, target)
    stage.at(0.9)
    pushing.fires(stage.url, stage.labels("s", role="source"))
    stage.at(1.9)
    pushing.resolves(stage.url, target)
    stage.expect((WAIT, "t", FIRST), (1.5, "s", NEW), until=4.0)


@story()
def a_silenced_alert_is_told_when_the_silence_is_deleted(stage: Stage) -> None:
    silence = pushing.silence(stage.url, 60, story=stage.name, instance="a")
    stage.begin()
    stage.fires("a", "b")
    stage.expect((WAIT, "b", FIRST), until=2.1)
    assert pushing.call("DELETE", f"{stage.url}/api/v2/silence/{silence}").status == 200
    stage.expect((WAIT, "b", FIRST), (2.5, "a b", NEW), until=4.0)


@story()
def a_silence_that_ends_lets_the_next_tick_tell(stage: Stage) -> None:
    pushing.silence(stage.url, 2.0, story=stage.name)
    stage.begin()
    stage.fires("a")
    stage.expect((2.5, "a", FIRST), until=4.0)


# ------------------------------------------------------------------------------------------------------------ receivers


@story({}, {})
def a_receiver_that_fails_is_told_later_and_the_other_one_only_once(stage: Stage) -> None:
    stage.catcher.answers_at(stage.path(1), [Answer(500), Answer(503), Answer(drop=True), Answer()])
    stage.begin()
    stage.fires("a")
    stage.expect((WAIT, "a", FIRST), until=7.0)
    assert stage.heard(1) == [("a", FIRST)] * 4
    moments = [request.at - stage.began for request in stage.catcher.came(stage.path(1))]
    gaps = [later - earlier for earlier, later in itertools.pairwise(moments)]
    for gap, middle in zip(gaps, (0.5, 0.75, 1.125), strict=True):
        assert middle / 2 - 0.3 < gap < middle * 1.5 + 0.8  # the first try may be late


@story({"timeout": "400ms"})
def a_webhook_that_does_not_answer_in_time_is_called_again(stage: Stage) -> None:
    stage.catcher.answers_at(stage.path(), [Late(before=3.0), Answer()])
    stage.begin()
    stage.fires("a")
    stage.at(4.0)
    assert stage.heard() == [("a", FIRST)] * 2
    first, second = (request.at - stage.began for request in stage.catcher.came(stage.path()))
    check_moments([first, second], [WAIT, WAIT + 0.4 + 0.5], stage.name, early=0.6)
    assert (
        pushing.metric(
            stage.url, "amproxy_delivery_attempts_total", channel="webhook", reason="timeout"
        )
        == 1
    )


@story({"max_alerts": 2})
def more_alerts_than_the_receiver_wants_are_counted(stage: Stage) -> None:
    stage.fires("a", "b", "c", "d", "e")
    stage.expect((WAIT, "a b", FIRST), until=1.4)
    assert stage.payloads()[0]["truncatedAlerts"] == 3


@story(group_by=["größe", "alertname"])  # type: ignore[arg-type]
def any_text_may_be_in_labels(stage: Stage) -> None:
    odd = {"größe": "XL 🙂", "a b": 'quo"te\\', "<script>": "&"}
    pushing.fires(stage.url, stage.labels("日本", **odd), note="</script>\u2028\x07")
    silenced = stage.labels("日本", **{**odd, "größe": "S 🙃"})
    pushing.silence(stage.url, 60, größe="S 🙃", story=stage.name)
    pushing.fires(stage.url, silenced)
    stage.expect((WAIT, "日本", FIRST), until=2.0)
    [payload] = stage.payloads()
    assert payload["commonLabels"] == stage.labels("日本", **odd)
    assert payload["commonAnnotations"] == {"note": "</script>\u2028\x07"}
    assert payload["groupLabels"] == {"größe": "XL 🙂", "alertname": stage.name}
    assert (
        payload["groupKey"]
        == f'{{}}/{{story="{stage.name}"}}:{{alertname="{stage.name}", größe="XL 🙂"}}'
    )


@story()
def times_keep_their_senders_offset_and_a_firing_alert_shows_no_end(stage: Stage) -> None:
    body = [
        {
            "labels": stage.labels("a"),
            "startsAt": "2026-01-05T09:00:00.120+02:00",
            "endsAt": rfc3339(time.time() + 60),
        }
    ]
    assert pushing.call("POST", f"{stage.url}/api/v2/alerts", body).status == 200
    stage.expect((0.0, "a", FIRST), until=1.0)
    [alert] = stage.payloads()[0]["alerts"]
    assert (alert["startsAt"], alert["endsAt"]) == (
        "2026-01-05T09:00:00.12+02:00",
        "0001-01-01T00:00:00Z",
    )
    assert brief(stage.payloads()[0]) == "a"


@pytest.mark.parametrize("name", STORIES)
def test_story(played: dict[str, Future[None]], name: str) -> None:
    played[name].result()
