"""The GPT of XTTS, written out for decoding: text of many sentences in, audio tokens and their latents out.

A transformer as in GPT-2 (Radford et al., 2019) over embeddings of the voice, the text and the audio so far::

    voice (32) │ [start] text [stop] │ [start] audio …
    └ prefix ┘   └──────── prompt ────────┘   └ step by step

Positions are in the embeddings, and every token sees only what is before it. So a sentence is the same
whatever it is decoded together with, what depends on the voice alone can be computed once
(:meth:`Decoder.prefix`), and a sentence may join and leave between any two steps. Keys and values stay in
slots that are allotted once.

The weights are those that coqui-tts has loaded; tests compare with its ``Xtts.inference`` token for token.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.xtts import kernels
from engines.xtts.checkpoint import Shape
from engines.xtts.graphs import GraphedStep
from engines.xtts.kernels import Array, array
from engines.xtts.linear import Linear, filled, pack_linear
from engines.xtts.precision import DTYPES, Precision

KERNELS: Final = {
    Precision.FP32: kernels.FP32,
    Precision.BF16: kernels.BF16,
    Precision.INT8: kernels.INT8,
}


@dataclass(frozen=True, slots=True)
class Norm:
    """A layer norm, float32.

    Attributes:
        weight: ``(width,)``.
        bias: ``(width,)``.
        eps: Added to the variance.
    """

    weight: Tensor
    bias: Tensor
    eps: float

    @classmethod
    def of(cls, module: Any, device: torch.device) -> "Norm":  # noqa: ANN401 - coqui's modules have no types
        """That of a ``LayerNorm``."""
        return cls(
            module.weight.detach().float().to(device), module.bias.detach().float().to(device), module.eps
        )

    def __call__(self, rows: Tensor) -> Tensor:
        """``rows`` ``(rows, width)``, normed."""
        return functional.layer_norm(rows, self.weight.shape, self.weight, self.bias, self.eps)


@dataclass(frozen=True, slots=True)
class Layer:
    """As GPT-2 has it: attention, then two products with a GELU between them, each onto the sums.

    Attributes:
        norm: Before the attention.
        qkv: ``width`` to queries, keys and values.
        output: Of the attention.
        mlp_norm: Before the two products.
        mlp_in: ``width`` to four times that.
        mlp_out: And back.
    """

    norm: Norm
    qkv: Linear
    output: Linear
    mlp_norm: Norm
    mlp_in: Linear
    mlp_out: Linear

    @classmethod
    def of(cls, block: Any, precision: Precision, device: torch.device) -> "Layer":  # noqa: ANN401 - as above
        """That of a ``GPT2Block``."""

        def linear(module: Any) -> Linear:  # noqa: ANN401 - as above
            # Hugging Face's Conv1D holds its matrix the other way round.
            return pack_linear(module.weight.t(), module.bias, precision, device)

        return cls(
            Norm.of(block.ln_1, device),
            linear(block.attn.c_attn),
            linear(block.attn.c_proj),
            Norm.of(block.ln_2, device),
            linear(block.mlp.c_fc),
            linear(block.mlp.c_proj),
        )

    def finish(self, rows: Tensor, attended: Tensor) -> Tensor:
        """What follows the attention.

        Args:
            rows: The sums, ``(rows, width)``.
            attended: ``(rows, width)``.
        """
        rows = rows + self.output(attended.float())
        return rows + self.mlp_out(functional.gelu(self.mlp_in(self.mlp_norm(rows)), approximate="tanh"))


@dataclass(frozen=True, slots=True)
class Prefix:
    """A voice as the decoder sees it.

    Attributes:
        keys: ``(layers, positions, heads, width / heads)``.
        values: The same.
    """

    keys: Tensor
    values: Tensor

    @property
    def nbytes(self) -> int:
        """Bytes of both."""
        return 2 * self.keys.numel() * self.keys.element_size()


class Slots:
    """Keys and values of the sentences that are being decoded, a slot for each; the first ``n`` are in use.

    Args:
        shape: Of the model.
        count: Slots.
        dtype: Of keys and values.
        device: Where they are.
        blank: Whether they must hold numbers from the start: what a mask hides is still multiplied by zero,
            which leaves what is no number as it is. Else memory is taken up only as it is written to.
    """

    def __init__(
        self, shape: Shape, count: int, *, dtype: torch.dtype, device: torch.device, blank: bool
    ) -> None:
        self.length = shape.max_prompt + shape.max_text + 3 + shape.max_audio
        size = (shape.layers, count, self.length, shape.heads, shape.width // shape.heads)
        make = torch.zeros if blank else torch.empty
        self.keys = make(size, dtype=dtype, device=device)
        self.values = make(size, dtype=dtype, device=device)

    def move(self, source: int, target: int, length: int) -> None:
        """Put the first ``length`` positions of one slot into another."""
        for cache in (self.keys, self.values):
            cache[:, target, :length] = cache[:, source, :length]


class _Linear(NamedTuple):
    product: Any
    bias: Array

    @classmethod
    def of(cls, linear: Linear) -> "_Linear":
        return cls(linear.product, array(linear.bias))


class _Layer(NamedTuple):
    qkv: _Linear
    output: _Linear
    mlp_norm: kernels.Norm
    mlp_in: _Linear
    mlp_out: _Linear
    next_norm: kernels.Norm | None
    keys: Array
    values: Array


class FusedStep:
    """The layers over slots, which it writes to where they are. Not for several threads at once.

    Args:
        layers: All of them.
        last: The norm after them.
        precision: Theirs.
        keys: ``(layers, slots, positions, heads, size)`` in the kernels' type, on the CPU.
        values: The same.
    """

    def __init__(
        self, layers: Sequence[Layer], last: Norm, precision: Precision, keys: Tensor, values: Tensor
    ) -> None:
        self._kernels = KERNELS[precision]
        self._first = _norm(layers[0].norm)
        self._last = _norm(last)
        following = [_norm(layer.norm) for layer in layers[1:]]
        self._layers = [
            _Layer(
                _Linear.of(layer.qkv),
                _Linear.of(layer.output),
                _norm(layer.mlp_norm),
                _Linear.of(layer.mlp_in),
                _Linear.of(layer.mlp_out),
                next_norm,
                array(keys[index]),
                array(values[index]),
            )
            for index, (layer, next_norm) in enumerate(zip(layers, [*following, None], strict=True))
        ]
        slots = keys.shape[1]
        # What fills the rows up is multiplied and left; it only must be numbers.
        self._narrow = torch.zeros(filled(slots), last.weight.shape[0], dtype=self._kernels.encoded)
        self._wide = torch.zeros(filled(slots), layers[0].mlp_in.bias.shape[0], dtype=self._kernels.encoded)
        self._scales = np.ones(slots, np.float32)

    def __call__(self, rows: Tensor, ends: Sequence[int]) -> Tensor:
        """Take a token for each row in.

        Args:
            rows: Their embeddings, float32 ``(rows, width)``; row ``i`` is slot ``i``. They are written over.
            ends: Positions that each slot held before.

        Returns:
            Hidden states ``(rows, width)``, float32.
        """
        own, count = self._kernels, rows.shape[0]
        narrow, wide = self._narrow[: filled(count)], self._wide[: filled(count)]
        sums, out, out_wide = array(rows), array(narrow), array(wide)
        scales, places = self._scales[:count], np.asarray(ends, np.int64)
        hidden = torch.empty_like(rows)
        own.norm(sums, self._first, out, scales)
        for layer in self._layers:
            product = array(layer.qkv.product(narrow))
            own.attend(product, layer.qkv.bias, layer.keys, layer.values, places, out, scales)
            product = array(layer.output.product(narrow))
            own.add_norm(sums, product, layer.output.bias, layer.mlp_norm, out, scales)
            product = array(layer.mlp_in.product(narrow))
            own.gelu(product, layer.mlp_in.bias, out_wide, scales)
            product = array(layer.mlp_out.product(wide))
            if layer.next_norm is None:
                own.add_last(sums, product, layer.mlp_out.bias, self._last, array(hidden), scales)
            else:
                own.add_norm(sums, product, layer.mlp_out.bias, layer.next_norm, out, scales)
        return hidden


def _norm(norm: Norm) -> kernels.Norm:
    return array(norm.weight), array(norm.bias), np.float32(norm.eps)


class Decoder:
    """The transformer and its slots. Not for several threads at once.

    Args:
        gpt: coqui-tts's ``GPT`` with its weights, float32 on the CPU; nothing of it is changed.
        shape: Of the model.
        slots: Sentences at once, at most.
        precision: Of the matrices of the layers. Embeddings, norms and the head stay float32.
        device: Where it runs.
        together: Whether rows attend all at once, in shapes that come again (see
            :mod:`engines.xtts.graphs`); by default where the device is not the CPU.
    """

    def __init__(
        self,
        gpt: nn.Module,
        shape: Shape,
        *,
        slots: int,
        precision: Precision = Precision.FP32,
        device: torch.device | None = None,
        together: bool | None = None,
    ) -> None:
        model: Any = gpt
        self.shape = shape
        self.precision = precision
        self.device = device or torch.device("cpu")
        self._layers = [Layer.of(block, precision, self.device) for block in model.gpt.h]
        self._norm = Norm.of(model.gpt.ln_f, self.device)
        self._final = Norm.of(model.final_norm, self.device)
        self._head = pack_linear(model.mel_head.weight, model.mel_head.bias, Precision.FP32, self.device)
        self._text = self._table(model.text_embedding.weight)
        self._text_positions = self._table(model.text_pos_embedding.emb.weight)
        self._audio = self._table(model.mel_embedding.weight)
        self._audio_positions = self._table(model.mel_pos_embedding.emb.weight)
        self._together = self.device.type != "cpu" if together is None else together
        # Of keys and values.
        if not self._together:
            self._dtype = KERNELS[precision].cached
        else:
            self._dtype = torch.float32 if self.device.type == "cpu" else DTYPES[precision]
        self._graphs: GraphedStep | None = None
        self._step: FusedStep | None = None
        self._allot(slots)

    def _allot(self, slots: int) -> None:
        self.slots = Slots(self.shape, slots, dtype=self._dtype, device=self.device, blank=self._together)
        if self._together:
            self._graphs = GraphedStep(
                self._advance, slots=slots, length=self.slots.length, device=self.device
            )
        else:
            keys, values = self.slots.keys, self.slots.values
            self._step = FusedStep(self._layers, self._norm, self.precision, keys, values)

    def resize(self, slots: int) -> None:
        """Have another number of slots; nothing is in them then."""
        # Their memory first: there may be none for both.
        del self.slots
        self._graphs = self._step = None
        self._allot(slots)

    @torch.inference_mode()
    def prefix(self, latents: Tensor) -> Prefix:
        """What the layers make of a voice.

        Args:
            latents: ``(positions, width)``, see :mod:`engines.xtts.conditioning`.
        """
        size = (self.shape.layers, latents.shape[0], self.shape.heads, self.shape.width // self.shape.heads)
        keys = torch.empty(size, dtype=self._dtype, device=self.device)
        values = torch.empty_like(keys)
        self._append(latents.to(self.device, torch.float32), keys, values, 0)
        return Prefix(keys, values)

    @torch.inference_mode()
    def join(self, slot: int, prefix: Prefix, text: Sequence[int]) -> tuple[Tensor, int]:
        """Read a text into a slot.

        Args:
            slot: Which.
            prefix: Its voice.
            text: Its tokens, without start and stop.

        Returns:
            The hidden state ``(width,)`` that the first audio token is chosen from, and the positions that
            the slot holds.
        """
        shape = self.shape
        tokens = torch.tensor([shape.start_text, *text, shape.stop_text], device=self.device)
        start = self._audio[shape.start_audio] + self._audio_positions[0]
        prompt = torch.cat([self._text[tokens] + self._text_positions[: len(tokens)], start[None]])
        known = prefix.keys.shape[1]
        length = known + prompt.shape[0]
        keys, values = self.slots.keys[:, slot, :length], self.slots.values[:, slot, :length]
        keys[:, :known], values[:, :known] = prefix.keys, prefix.values
        return self._append(prompt, keys, values, known)[-1], length

    @torch.inference_mode()
    def step(self, tokens: Tensor, counts: Tensor, lengths: Sequence[int]) -> Tensor:
        """Take the newest audio token of each row in, and give what the next is chosen from.

        Args:
            tokens: ``(rows,)``; row ``i`` is slot ``i``.
            counts: ``(rows,)``, audio tokens of each row, the newest included.
            lengths: Positions that each slot holds, before this one.

        Returns:
            Hidden states ``(rows, width)``.
        """
        if self._graphs is not None:
            return self._graphs(tokens, counts, lengths)
        assert self._step is not None  # noqa: S101 - there is one of the two
        return self._step(self._audio[tokens] + self._audio_positions[counts], lengths)

    def _advance(self, tokens: Tensor, counts: Tensor, ends: Tensor, span: int) -> Tensor:
        """The same in torch's operations, over ``span`` positions of all rows."""
        rows = self._audio[tokens] + self._audio_positions[counts]
        keys, values = (cache[:, : len(tokens), :span] for cache in (self.slots.keys, self.slots.values))
        return self._forward(rows, keys, values, ends[:, None])

    @torch.inference_mode()
    def read(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Latents for the vocoder ``(rows, width)``, and scores of tokens ``(rows, audio_tokens)``."""
        latents = self._final(hidden)
        return latents, self._head(latents)

    def _forward(self, rows: Tensor, keys: Tensor, values: Tensor, places: Tensor) -> Tensor:
        """Take tokens of some sequences in, as many of each, and write their keys and values.

        Args:
            rows: Their embeddings, ``(sequences × tokens, width)``.
            keys: ``(layers, sequences, positions, heads, size)``.
            values: The same.
            places: ``(sequences, tokens)``, the positions that they take. Each sees those up to its own.

        Returns:
            Hidden states ``(sequences × tokens, width)``.
        """
        sequences, tokens = places.shape
        sequence = torch.arange(sequences, device=self.device)[:, None]
        sees = (torch.arange(keys.shape[2], device=self.device) <= places[..., None])[:, None]
        # torch's attention on the CPU is slow in bfloat16.
        compute = torch.float32 if self.device.type == "cpu" else self._dtype
        for layer, layer_keys, layer_values in zip(self._layers, keys, values, strict=True):
            qkv = layer.qkv(layer.norm(rows)).view(sequences, tokens, 3, self.shape.heads, -1)
            query, key, value = qkv.unbind(2)
            layer_keys[sequence, places] = key.to(keys.dtype)
            layer_values[sequence, places] = value.to(values.dtype)
            attended = functional.scaled_dot_product_attention(
                *(each.to(compute).transpose(1, 2) for each in (query, layer_keys, layer_values)),
                attn_mask=sees,
            )
            rows = layer.finish(rows, attended.transpose(1, 2).reshape(rows.shape))
        return self._norm(rows)

    def _append(self, rows: Tensor, keys: Tensor, values: Tensor, known: int) -> Tensor:
        """Take ``rows`` in behind the ``known`` positions of one sequence."""
        places = torch.arange(known, known + rows.shape[0], device=self.device)[None]
        return self._forward(rows, keys[:, None], values[:, None], places)

    def _table(self, weight: Tensor) -> Tensor:
        return weight.detach().float().to(self.device)
