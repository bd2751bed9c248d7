"""A limit of numpy's matrix products to the calling thread."""

from importlib import import_module


def use_one_core() -> None:
    """Compute numpy's matrix products in the calling thread, from now on and in the whole process.

    BLAS threads wait for each other by busy waiting: on a machine with busy cores, the matrix products of a
    voice took three times as long with two threads as with one.
    """
    # Imported by name: the base installation lacks it, and it has no types.
    import_module("threadpoolctl").threadpool_limits(limits=1, user_api="blas")
