"""What a tenant may use: its own limits over its plan's."""

from typing import NamedTuple

from services.config import PlanConfig, QuotaConfig, QuotaLimits
from services.tenancy.principal import Principal


class Allowance(NamedTuple):
    """What a tenant may use, and its share of the engines."""

    limits: QuotaLimits
    weight: float


def allowance(principal: Principal, config: QuotaConfig) -> Allowance:
    """The allowance of a caller's tenant.

    A plan that is not configured (any more) is the default one: a typing error in the settings must not
    lift all limits.
    """
    plan: PlanConfig = config.plans.get(principal.plan) or config.plans[config.default_plan]
    limits = {name: getattr(plan, name) for name in QuotaLimits.model_fields} | dict(principal.limits)
    # What the database has was checked when it was written.
    return Allowance(QuotaLimits.model_construct(**limits), plan.weight)
