"""Limits of a tenant: its own override its plan's."""

from typing import NamedTuple

from services.config import PlanConfig, QuotaConfig, QuotaLimits
from services.tenancy.principal import Principal


class Allowance(NamedTuple):
    """A tenant's limits, and its share of the engines."""

    limits: QuotaLimits
    weight: float


def allowance(principal: Principal, config: QuotaConfig) -> Allowance:
    """The allowance of a caller's tenant.

    A plan that is not, or no longer, configured means the default one: a typo in the settings must not
    lift all limits.
    """
    plan: PlanConfig = config.plans.get(principal.plan) or config.plans[config.default_plan]
    limits = {name: getattr(plan, name) for name in QuotaLimits.model_fields} | dict(principal.limits)
    # Values in the database were validated when they were written.
    return Allowance(QuotaLimits.model_construct(**limits), plan.weight)
