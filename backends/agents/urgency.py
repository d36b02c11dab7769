"""One number by which agents are sorted: who needs the operator first."""

from __future__ import annotations

from backends.model import Activity, Reach

#: Rows at or above this want somebody's attention.
ATTENTION = 40

_BY_ACTIVITY = {
    Activity.BLOCKED: 90,
    Activity.CRASH_LOOP: 80,
    Activity.CRASHED: 70,
    Activity.STALLED: 60,
}
_CALM = {
    Activity.PAUSED: 30,
    Activity.DRAINING: 12,
    Activity.STARTING: 11,
    None: 10,
    Activity.WORKING: 8,
    Activity.IDLE: 4,
}
_BY_REACH = {Reach.UNREACHABLE: 50, Reach.STALE: ATTENTION}


def urgency(reach: Reach, activity: Activity | None, cause: str | None = None) -> int:
    """The urgency of a state, 0-100; the same state always has the same.

    Blocked 90 > crash loop 80 > lease expired 75 > crashed 70 > stalled 60 > unreachable 50 > stale 40
    > paused 30 > blocked and already answered 25 > draining 12 > starting 11 > unknown 10 > working 8
    > idle 4 > stopped 0.
    """
    if activity is Activity.STOPPED:
        return 0
    if activity is Activity.BLOCKED and cause == "answered":
        return 25
    if activity is Activity.STALLED and cause == "lease-expired":
        return 75
    if activity in _BY_ACTIVITY:
        return _BY_ACTIVITY[activity]
    return max(_BY_REACH.get(reach, 0), _CALM[activity])
