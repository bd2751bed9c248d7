"""Limits numpy to the calling thread."""

from importlib import import_module


def use_one_core() -> None:
    """Keep numpy's matrix products in the calling thread, in this process, from now on.

    Its own threads wait for one another by spinning: on a machine whose cores are busy, the matrices of
    a voice took three times as long with two threads as with one.
    """
    # only here, and untyped: the base installation, which only lists voices, lacks it
    import_module("threadpoolctl").threadpool_limits(limits=1, user_api="blas")
