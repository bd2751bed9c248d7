"""The GPT of XTTS, implemented for batched decoding of sentences to audio tokens and their latents.

It is a transformer as in GPT-2 (Radford et al., 2019) over embeddings of the voice, the text and the audio::

    voice (32) │ [start] text [stop] │ [start] audio …
    └ prefix ┘   └──────── prompt ────────┘   └ step by step

Positions are added to the embeddings, and attention is causal. So a sentence's result does not depend on the
others in the batch, the voice's part can be computed once (:meth:`Decoder.prefix`), and sentences can join
and leave between any two steps. Keys and values stay in slots that are allocated once.

The weights are those that coqui-tts has loaded; tests compare the tokens with its ``Xtts.inference``.
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
    """A layer norm, in float32.

    Attributes:
        weight: Shape ``(width,)``.
        bias: Shape ``(width,)``.
        eps: Constant added to the variance.
    """

    weight: Tensor
    bias: Tensor
    eps: float

    @classmethod
    def of(cls, module: Any, device: torch.device) -> "Norm":  # noqa: ANN401 - coqui's modules have no types
        """Convert a ``LayerNorm``."""
        return cls(
            module.weight.detach().float().to(device), module.bias.detach().float().to(device), module.eps
        )

    def __call__(self, rows: Tensor) -> Tensor:
        """Normalise ``rows``, shape ``(rows, width)``."""
        return functional.layer_norm(rows, self.weight.shape, self.weight, self.bias, self.eps)


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer of GPT-2: attention, then an MLP with a GELU, both with residual connections.

    Attributes:
        norm: Norm before the attention.
        qkv: Projection from ``width`` to queries, keys and values.
        output: Output projection of the attention.
        mlp_norm: Norm before the MLP.
        mlp_in: Projection from ``width`` to four times that.
        mlp_out: Projection back to ``width``.
    """

    norm: Norm
    qkv: Linear
    output: Linear
    mlp_norm: Norm
    mlp_in: Linear
    mlp_out: Linear

    @classmethod
    def of(cls, block: Any, precision: Precision, device: torch.device) -> "Layer":  # noqa: ANN401 - as above
        """Convert a ``GPT2Block``."""

        def linear(module: Any) -> Linear:  # noqa: ANN401 - as above
            # Hugging Face's Conv1D stores its matrix transposed.
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
        """Compute the part of the layer after the attention.

        Args:
            rows: Residual stream, ``(rows, width)``.
            attended: Result of the attention, ``(rows, width)``.
        """
        rows = rows + self.output(attended.float())
        return rows + self.mlp_out(functional.gelu(self.mlp_in(self.mlp_norm(rows)), approximate="tanh"))


@dataclass(frozen=True, slots=True)
class Prefix:
    """Cached keys and values of a voice.

    Attributes:
        keys: Shape ``(layers, positions, heads, width / heads)``.
        values: The same shape.
    """

    keys: Tensor
    values: Tensor

    @property
    def nbytes(self) -> int:
        """Size of keys and values in bytes."""
        return 2 * self.keys.numel() * self.keys.element_size()


class Slots:
    """Keys and values of the sentences being decoded, one slot each; the first ``n`` slots are in use.

    Args:
        shape: Dimensions of the model.
        count: Number of slots.
        dtype: Type of keys and values.
        device: Device that they are on.
        blank: Whether to initialise them with zeros: masked positions are still multiplied by zero, which
            leaves a NaN as it is. Otherwise memory is committed only when it is written to.
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
        """Copy the first ``length`` positions of one slot to another."""
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
    """One step of all layers with fused kernels, which update the slots in place. Not thread-safe.

    Args:
        layers: All layers.
        last: The norm after them.
        precision: Precision of the layers.
        keys: ``(layers, slots, positions, heads, size)`` in the kernels' type, on the CPU.
        values: The same shape.
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
        # Padding rows are multiplied, too, and ignored; they only must not be NaN.
        self._narrow = torch.zeros(filled(slots), last.weight.shape[0], dtype=self._kernels.encoded)
        self._wide = torch.zeros(filled(slots), layers[0].mlp_in.bias.shape[0], dtype=self._kernels.encoded)
        self._scales = np.ones(slots, np.float32)

    def __call__(self, rows: Tensor, ends: Sequence[int]) -> Tensor:
        """Process one token per row.

        Args:
            rows: Embeddings of the tokens, float32 ``(rows, width)``; row ``i`` is slot ``i``. Overwritten.
            ends: Number of positions in each slot before the step.

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
    """The transformer and its slots. Not thread-safe.

    Args:
        gpt: coqui-tts' ``GPT`` with its weights, float32 on the CPU; it is not changed.
        shape: Dimensions of the model.
        slots: Maximum number of concurrent sentences.
        precision: Precision of the layers' matrices. Embeddings, norms and the head stay float32.
        device: Device that it runs on; by default the CPU.
        together: Whether the attention of all rows is computed at once, in recurring shapes (see
            :mod:`engines.xtts.graphs`); by default unless the device is the CPU.
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
        # The type of keys and values.
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
        """Change the number of slots; their contents are discarded."""
        # Free the old slots first: there may not be enough memory for both.
        del self.slots
        self._graphs = self._step = None
        self._allot(slots)

    @torch.inference_mode()
    def prefix(self, latents: Tensor) -> Prefix:
        """Compute the keys and values of a voice.

        Args:
            latents: ``(positions, width)``; see :mod:`engines.xtts.conditioning`.
        """
        size = (self.shape.layers, latents.shape[0], self.shape.heads, self.shape.width // self.shape.heads)
        keys = torch.empty(size, dtype=self._dtype, device=self.device)
        values = torch.empty_like(keys)
        self._append(latents.to(self.device, torch.float32), keys, values, 0)
        return Prefix(keys, values)

    @torch.inference_mode()
    def join(self, slot: int, prefix: Prefix, text: Sequence[int]) -> tuple[Tensor, int]:
        """Process a text into a slot.

        Args:
            slot: Index of the slot.
            prefix: Keys and values of the voice.
            text: Tokens of the text, without start and stop.

        Returns:
            The hidden state ``(width,)`` for the first audio token, and the number of positions in the slot.
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
        """Process the newest audio token of each row.

        Args:
            tokens: The tokens, ``(rows,)``; row ``i`` is slot ``i``.
            counts: Number of audio tokens of each row, including the newest, ``(rows,)``.
            lengths: Number of positions in each slot before the step.

        Returns:
            Hidden states for the next tokens, ``(rows, width)``.
        """
        if self._graphs is not None:
            return self._graphs(tokens, counts, lengths)
        assert self._step is not None  # noqa: S101 - there is one of the two
        return self._step(self._audio[tokens] + self._audio_positions[counts], lengths)

    def _advance(self, tokens: Tensor, counts: Tensor, ends: Tensor, span: int) -> Tensor:
        """Do the same with torch's operations, over ``span`` positions of all rows."""
        rows = self._audio[tokens] + self._audio_positions[counts]
        keys, values = (cache[:, : len(tokens), :span] for cache in (self.slots.keys, self.slots.values))
        return self._forward(rows, keys, values, ends[:, None])

    @torch.inference_mode()
    def read(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Return the vocoder's latents ``(rows, width)`` and the tokens' logits ``(rows, audio_tokens)``."""
        latents = self._final(hidden)
        return latents, self._head(latents)

    def _forward(self, rows: Tensor, keys: Tensor, values: Tensor, places: Tensor) -> Tensor:
        """Process the same number of tokens of each sequence, and write their keys and values.

        Args:
            rows: Embeddings of the tokens, ``(sequences × tokens, width)``.
            keys: ``(layers, sequences, positions, heads, size)``.
            values: The same shape.
            places: Positions of the tokens, ``(sequences, tokens)``. Each attends to those up to its own.

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
        """Process ``rows`` after the ``known`` positions of one sequence."""
        places = torch.arange(known, known + rows.shape[0], device=self.device)[None]
        return self._forward(rows, keys[:, None], values[:, None], places)

    def _table(self, weight: Tensor) -> Tensor:
        return weight.detach().float().to(self.device)
