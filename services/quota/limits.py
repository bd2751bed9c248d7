"""Limits of tenants, from their plan and their own overrides."""

from typing import NamedTuple

from services.config import PlanConfig, QuotaConfig, QuotaLimits
from services.tenancy.principal import Principal


class Allowance(NamedTuple):
    """A tenant's limits, and its weight when resources are shared."""

    limits: QuotaLimits
    weight: float


def allowance(principal: Principal, config: QuotaConfig) -> Allowance:
    """Return the allowance of a caller's tenant; its own limits override those of its plan.

    A plan that is not configured is replaced by the default plan, so that a typo in the settings does not
    lift all limits.
    """
    plan: PlanConfig = config.plans.get(principal.plan) or config.plans[config.default_plan]
    limits = {name: getattr(plan, name) for name in QuotaLimits.model_fields} | dict(principal.limits)
    # Values in the database were validated when they were written.
    return Allowance(QuotaLimits.model_construct(**limits), plan.weight)
