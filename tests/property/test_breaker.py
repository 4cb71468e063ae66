"""The breaker against a plain account of everything that happened to it."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mpi.resilience import BreakerRule, BreakerState, CircuitBreaker, Permit

WINDOW, PAUSE, PATIENCE = 30.0, 20.0, 5.0
REST, LONGEST_REST = 25.0, 80.0
# Halves of seconds are exact, so that limits are met to the point.
seconds = st.integers(0, 100).map(lambda halves: halves / 2)
shares = st.sampled_from((0.25, 0.5, 1.0))


class Calls(RuleBasedStateMachine):
    """Calls begin, end well or badly or never, in any order and at any time."""

    @initialize(
        share=shares,
        calls=st.integers(1, 4),
        probes=st.integers(1, 3),
        latest=st.none() | st.integers(4, 6),
    )
    def build(self, share: float, calls: int, probes: int, latest: int | None) -> None:
        self.now = 1000.0
        self.share, self.calls, self.probes, self.latest = share, calls, probes, latest
        self.breaker = CircuitBreaker(
            BreakerRule(
                share=share,
                calls=calls,
                window=WINDOW,
                pause=PAUSE,
                probes=probes,
                latest=latest,
                rest=REST,
                longest_rest=LONGEST_REST,
            ),
            patience=PATIENCE,
        )
        self.begun: list[Permit] = []
        self.closed()

    def closed(self) -> None:
        self.rest = 0.0
        self.wait_anew(None)

    def wait_anew(self, until: float | None) -> None:
        self.until = until
        self.current: set[Permit] = set()
        self.ended: list[tuple[float, bool]] = []
        self.probing: dict[Permit, float] = {}
        self.good = 0

    @property
    def state(self) -> BreakerState:
        if self.until is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if self.now < self.until else BreakerState.HALF_OPEN

    @property
    def needed(self) -> int:
        return 1 if self.rest else self.probes

    def waited_for(self) -> int:
        return sum(1 for at in self.probing.values() if self.now - at < PATIENCE)

    @rule(passed=seconds)
    def wait(self, passed: float) -> None:
        self.now += passed

    @rule()
    def begin(self) -> None:
        waited_for = self.waited_for()
        permit = self.breaker.admit(self.now)
        if self.state is BreakerState.CLOSED:
            assert permit is not None
        elif self.state is BreakerState.OPEN:
            assert permit is None
        else:
            assert (permit is not None) == (waited_for + self.good < self.needed)
        if permit is not None:
            self.begun.append(permit)
            self.current.add(permit)
            if self.state is BreakerState.HALF_OPEN:
                self.probing = {
                    probe: at for probe, at in self.probing.items() if self.now - at < PATIENCE
                }
                self.probing[permit] = self.now

    @rule(times=st.integers(2, 50))
    def begin_at_once(self, times: int) -> None:
        for _ in range(times):
            self.begin()

    @precondition(lambda self: self.begun)
    @rule(which=st.integers(0), failed=st.booleans())
    def end(self, which: int, failed: bool) -> None:
        permit = self.begun.pop(which % len(self.begun))
        (self.breaker.failed if failed else self.breaker.succeeded)(permit, self.now)
        if permit not in self.current:
            return
        if self.until is None:
            self.count(failed)
        elif self.probing.pop(permit, None) is not None:
            self.good += 1
            if failed:
                self.wait_anew(self.now + (self.rest or PAUSE))
            elif self.good == self.needed:
                self.closed()

    @precondition(lambda self: self.begun)
    @rule(which=st.integers(0))
    def be_rejected(self, which: int) -> None:
        permit = self.begun.pop(which % len(self.begun))
        self.breaker.trip(permit, self.now)
        if permit in self.current:
            self.rest = min(2 * self.rest, LONGEST_REST) if self.rest else REST
            self.wait_anew(self.now + self.rest)

    @precondition(lambda self: self.begun)
    @rule(which=st.integers(0))
    def be_withdrawn(self, which: int) -> None:
        permit = self.begun.pop(which % len(self.begun))
        self.breaker.withdrawn(permit)
        self.probing.pop(permit, None)

    def count(self, failed: bool) -> None:
        self.ended.append((self.now, failed))
        known = [one for at, one in self.ended if self.now - at < WINDOW]
        known = known[-self.latest :] if self.latest else known
        if failed and len(known) >= self.calls and sum(known) / len(known) >= self.share:
            self.wait_anew(self.now + PAUSE)

    @invariant()
    def the_state_is_as_accounted(self) -> None:
        assert self.breaker.state(self.now) is self.state
        assert self.breaker.is_tripped is (self.rest > 0)

    @invariant()
    def what_remains_ends_where_probes_begin(self) -> None:
        remaining = self.breaker.remaining(self.now)
        assert (remaining > 0) == (self.state is BreakerState.OPEN)
        if remaining > 0:
            assert self.breaker.state(self.now + remaining) is BreakerState.HALF_OPEN


TestCalls = Calls.TestCase
TestCalls.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)


def three_in_a_row() -> CircuitBreaker:
    return CircuitBreaker(
        BreakerRule(share=1, calls=3, latest=3, window=math.inf, pause=PAUSE), patience=PATIENCE
    )


@given(st.lists(st.booleans(), max_size=30))
def test_a_run_of_failures_opens_however_many_calls_went_well_before(outcomes: list[bool]) -> None:
    breaker = three_in_a_row()
    run = 0
    for failed in outcomes:
        permit = breaker.admit(0.0)
        if run == 3:
            assert permit is None
            break
        assert permit is not None
        (breaker.failed if failed else breaker.succeeded)(permit, 0.0)
        run = run + 1 if failed else 0


def opened() -> CircuitBreaker:
    breaker = three_in_a_row()
    for _ in range(3):
        permit = breaker.admit(0.0)
        assert permit is not None
        breaker.failed(permit, 0.0)
    return breaker


@given(st.lists(seconds, min_size=1, max_size=20))
def test_abandoned_probes_never_wedge_it(pauses: list[float]) -> None:
    breaker = opened()
    now = PAUSE
    for pause in pauses:  # nobody reports how any of these ended
        breaker.admit(now)
        now += pause
    permit = breaker.admit(now + PATIENCE)
    assert permit is not None
    breaker.succeeded(permit, now + PATIENCE)
    assert breaker.state(now + PATIENCE) is BreakerState.CLOSED


def test_rejected_credentials_are_tried_once_a_minute_then_ever_less_often() -> None:
    breaker = three_in_a_row()
    now = 0.0
    for rest in (60, 120, 240, 480, 600, 600):
        permit = breaker.admit(now)
        assert permit is not None
        breaker.trip(permit, now)
        assert breaker.remaining(now) == rest
        now += rest
        assert breaker.admit(now - 0.5) is None


def test_credentials_that_are_accepted_again_close_it_with_one_call() -> None:
    breaker = CircuitBreaker(
        BreakerRule(share=1, calls=3, window=WINDOW, pause=PAUSE, probes=3, rest=REST),
        patience=PATIENCE,
    )
    for now in (
        0.0,
        REST,
    ):  # what was rejected twice and then accepted begins again with the first rest
        permit = breaker.admit(now)
        assert permit is not None
        breaker.trip(permit, now)
    probe = breaker.admit(3 * REST)
    assert probe is not None
    breaker.succeeded(probe, 3 * REST)
    permit = breaker.admit(3 * REST)
    assert permit is not None
    breaker.trip(permit, 3 * REST)
    assert breaker.remaining(3 * REST) == REST


def test_calls_that_were_rejected_together_count_once() -> None:
    breaker = three_in_a_row()
    together = [breaker.admit(0.0) for _ in range(8)]
    for permit in together:
        assert permit is not None
        breaker.trip(permit, 0.0)
    assert breaker.remaining(0.0) == 60


def test_a_call_that_began_before_it_opened_says_nothing_about_now() -> None:
    breaker = three_in_a_row()
    early = [breaker.admit(0.0) for _ in range(5)]
    for permit in early[:3]:
        assert permit is not None
        breaker.failed(permit, 0.0)
    assert breaker.admit(PAUSE) is not None  # the probe
    for permit in early[3:]:
        assert permit is not None
        breaker.succeeded(permit, PAUSE)
    assert breaker.state(PAUSE) is BreakerState.HALF_OPEN


def test_what_was_known_before_it_opened_counts_no_more_once_it_has_closed() -> None:
    breaker = CircuitBreaker(
        BreakerRule(share=0.5, calls=4, window=1e6, pause=PAUSE), patience=PATIENCE
    )
    early = [breaker.admit(0.0) for _ in range(9)]
    for permit in early[:4]:
        assert permit is not None
        breaker.failed(permit, 0.0)
    probe = breaker.admit(PAUSE)
    assert probe is not None
    breaker.succeeded(probe, PAUSE)
    for permit in early[4:]:  # neither these good ends nor the four failures are of this period
        assert permit is not None
        breaker.succeeded(permit, PAUSE)
    for failures in range(1, 5):
        assert breaker.state(PAUSE) is BreakerState.CLOSED
        permit = breaker.admit(PAUSE)
        assert permit is not None
        (breaker.failed if failures > 2 else breaker.succeeded)(permit, PAUSE)
    assert breaker.state(PAUSE) is BreakerState.OPEN
