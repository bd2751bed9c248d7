"""What lies between the products of a step is what torch makes of it, to the rounding of its type."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from engines.xtts import kernels
from engines.xtts.kernels import Kernels, array

PRECISIONS = {"fp32": kernels.FP32, "bf16": kernels.BF16, "int8": kernels.INT8}
ROWS, HEADS, SIZE, POSITIONS = 5, 3, 24, 40
WIDTH = HEADS * SIZE


@pytest.fixture(params=PRECISIONS)
def own(request: pytest.FixtureRequest) -> Kernels:
    return PRECISIONS[request.param]


class Case:
    """Numbers to start from, and what is written."""

    def __init__(self, own: Kernels, width: int, products: int, seed: int = 0) -> None:
        self._generator = torch.Generator().manual_seed(seed)
        self.own = own
        self.rows = self.numbers(ROWS, WIDTH)
        # Bytes times bytes are far from 1; the scales bring them back.
        self.scales = np.ones(ROWS, np.float32)
        if own is kernels.INT8:
            self.scales = np.linspace(0.001, 0.003, ROWS, dtype=np.float32)
        product = self.numbers(ROWS, products) / torch.from_numpy(self.scales)[:, None]
        self.product = product.to(torch.bfloat16 if own is kernels.BF16 else torch.float32)
        self.offset = self.numbers(products)
        self.norm = (array(self.numbers(WIDTH)), array(self.numbers(WIDTH)), np.float32(1e-5))
        self.out = torch.zeros(ROWS, width, dtype=own.encoded)
        self.linear = self.product.float() * torch.from_numpy(self.scales.copy())[:, None] + self.offset

    def numbers(self, *size: int) -> Tensor:
        return torch.randn(size, generator=self._generator)

    def normed(self, rows: Tensor) -> Tensor:
        weight, bias, eps = self.norm
        return functional.layer_norm(
            rows, (WIDTH,), torch.from_numpy(weight), torch.from_numpy(bias), float(eps)
        )

    def check(self, expected: Tensor) -> None:
        """``out`` and ``scales`` hold ``expected``."""
        found, scales = self.out.float(), torch.from_numpy(self.scales)[:, None]
        if self.own is kernels.INT8:
            found = (found - kernels.ZERO_POINT) * scales
            assert torch.allclose(scales, expected.abs().amax(1, keepdim=True) / kernels.LEVELS, rtol=1e-4)
            assert ((found - expected).abs() <= 0.5001 * scales + 1e-5).all()
        else:
            assert (scales == 1.0).all()
            rounding = 2**-8 if self.own is kernels.BF16 else 2e-6
            assert torch.allclose(found, expected, rtol=rounding, atol=1e-5)


def test_a_norm(own: Kernels) -> None:
    case = Case(own, WIDTH, WIDTH)
    own.norm(array(case.rows), case.norm, array(case.out), case.scales)
    case.check(case.normed(case.rows))


def test_a_product_is_added_and_the_sum_is_normed(own: Kernels) -> None:
    case = Case(own, WIDTH, WIDTH)
    expected = case.rows + case.linear
    own.add_norm(
        array(case.rows), array(case.product), array(case.offset), case.norm, array(case.out), case.scales
    )
    assert torch.allclose(case.rows, expected, rtol=1e-6, atol=1e-6)
    case.check(case.normed(expected))


def test_the_last_norm_is_float32(own: Kernels) -> None:
    case = Case(own, WIDTH, WIDTH)
    expected = case.normed(case.rows + case.linear)
    out = torch.zeros(ROWS, WIDTH)
    own.add_last(
        array(case.rows), array(case.product), array(case.offset), case.norm, array(out), case.scales
    )
    assert torch.allclose(out, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("loud", [1.0, 100.0])
def test_a_gelu_of_any_size(own: Kernels, loud: float) -> None:
    case = Case(own, 4 * WIDTH, 4 * WIDTH)
    case.offset *= loud
    expected = functional.gelu(
        case.product.float() * torch.from_numpy(case.scales.copy())[:, None] + case.offset, approximate="tanh"
    )
    own.gelu(array(case.product), array(case.offset), array(case.out), case.scales)
    case.check(expected)


def test_a_gelu_of_small_and_of_enormous_numbers() -> None:
    numbers = torch.tensor([[0.0, -0.0, 1e-30, -1e-30, 1e-3, -1e-3, 3e4, -3e4, 88.0, -88.0, 10.0, -10.0]])
    out, scales = torch.zeros_like(numbers), np.ones(1, np.float32)
    kernels.FP32.gelu(array(numbers), np.zeros(numbers.shape[1], np.float32), array(out), scales)
    assert torch.allclose(out, functional.gelu(numbers, approximate="tanh"), rtol=2e-6, atol=1e-9)


def attend(case: Case, keys: Tensor, values: Tensor, ends: list[int]) -> None:
    case.own.attend(
        array(case.product),
        array(case.offset),
        array(keys),
        array(values),
        np.array(ends),
        array(case.out),
        case.scales,
    )


def expected_attention(query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    heads: list[Any] = [each.float().transpose(0, 1) for each in (query[None], keys, values)]
    return functional.scaled_dot_product_attention(*heads).reshape(-1)


def test_attention_over_slots(own: Kernels) -> None:
    """Each row sees its own slot as far as it goes, the new position included, and nothing behind it."""
    case = Case(own, WIDTH, 3 * WIDTH)
    # One slot more than rows: nobody's.
    keys, values = (case.numbers(ROWS + 1, POSITIONS, HEADS, SIZE).to(own.cached) for _ in range(2))
    ends = [0, POSITIONS - 1, 7, 23, 1]
    for cache in (keys, values):
        for row, end in enumerate(ends):
            cache[row, end:] = float("nan")
        cache[ROWS] = float("nan")
    query, key, value = case.linear.view(ROWS, 3, HEADS, SIZE).unbind(1)
    attend(case, keys, values, ends)
    for row, end in enumerate(ends):
        for cache, new in ((keys, key), (values, value)):
            assert torch.allclose(cache[row, end].float(), new[row], rtol=2**-8, atol=1e-5)
            assert cache[row, end + 1 :].isnan().all()
    case.check(
        torch.stack(
            [
                expected_attention(query[row], keys[row, : end + 1], values[row, : end + 1])
                for row, end in enumerate(ends)
            ]
        )
    )


def test_attention_to_one_position_far_above_the_others(own: Kernels) -> None:
    """Scores of thousands neither overflow nor leave anything of the rest."""
    case = Case(own, WIDTH, 3 * WIDTH)
    case.product *= 0.0
    case.offset[:WIDTH] = 100.0
    keys = torch.zeros(ROWS, POSITIONS, HEADS, SIZE, dtype=own.cached)
    values = case.numbers(ROWS, POSITIONS, HEADS, SIZE).to(own.cached)
    keys[:, 3] = 1000.0
    attend(case, keys, values, [9] * ROWS)
    case.check(values[:, 3].float().reshape(ROWS, WIDTH))


def test_rows_are_the_same_in_any_company(own: Kernels) -> None:
    together, alone = Case(own, WIDTH, 3 * WIDTH), Case(own, WIDTH, 3 * WIDTH)
    keys, values = (together.numbers(ROWS, POSITIONS, HEADS, SIZE).to(own.cached) for _ in range(2))
    ends = [5, 30, 7, 23, 1]
    attend(together, keys.clone(), values.clone(), ends)
    at = slice(2, 3)
    alone.product, alone.out, alone.scales = alone.product[at], alone.out[at], alone.scales[at]
    attend(alone, keys[at].clone(), values[at].clone(), ends[at])
    assert torch.equal(together.out[at], alone.out)
    assert together.scales[2] == alone.scales[0]


def test_bfloat16_is_rounded_to_the_nearest_even() -> None:
    numbers = torch.tensor([[257.0, 259.0, 257.01, 256.99, 3e38]])  # its steps are 2 here
    out, scales = torch.zeros(1, 5, dtype=torch.bfloat16), np.ones(1, np.float32)
    # A GELU leaves large numbers as they are.
    kernels.BF16.gelu(array(torch.zeros_like(out)), array(numbers[0]), array(out), scales)
    assert torch.equal(out, numbers.to(torch.bfloat16))
    assert out[0, :4].tolist() == [256.0, 260.0, 258.0, 256.0]
