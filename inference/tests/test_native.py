"""The kernels give what torch gives, each row in the same way whatever stands beside it."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from inference.engines import kept
from inference.engines.packed import native
from inference.engines.packed.native import build


@pytest.fixture(autouse=True, params=["native", "x86-64-v3"])
def _kernels(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of this processor, and those of one that has AVX2 and no more."""
    if request.param != "native" and platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip("not such a processor")
    flags = [f"-march={request.param}" if flag.startswith("-march=") else flag for flag in build._FLAGS]
    monkeypatch.setattr(build, "_FLAGS", flags)
    monkeypatch.setattr(native, "_calls", None)
    monkeypatch.setattr(native, "_long_calls", None)
    monkeypatch.setattr(native, "ready", False)
    assert native.open_kernels(kept.folder()), "there is no C compiler, or it cannot build the kernels"
    torch.manual_seed(1)


@pytest.mark.parametrize("kind", ["float32", "bfloat16", "int8"])
@pytest.mark.parametrize(("inputs", "outputs"), [(576, 960), (1536, 576), (70, 37), (257, 1)])
def test_a_product_is_torchs_and_a_row_of_it_knows_no_other(kind, inputs, outputs):
    weight, bias = torch.randn(outputs, inputs).bfloat16().float(), torch.randn(outputs)
    product = native.PackedInt8(weight, bias) if kind == "int8" else native.Packed(weight, bias, kind)
    x = torch.randn(200, inputs)
    expected = F.linear(x, weight, bias)
    alone = torch.cat([product(row[None]) for row in x])
    assert (alone - expected).norm() / expected.norm() < (0.01 if kind == "int8" else 1e-6)
    for size in (2, 3, 4, 5, 6, 7, 96, 97, 200):
        assert torch.equal(torch.cat([product(rows) for rows in x.split(size)]), alone), size


def test_a_large_number_of_an_int8_product_costs_only_its_neighbours_precision():
    weight, x = torch.randn(48, 256), torch.randn(20, 256)
    weight[:, 64:128] = 0
    expected = native.PackedInt8(weight, None)(x)
    x[:, 70] = 1e6
    assert torch.equal(native.PackedInt8(weight, None)(x), expected)


SHAPES = pytest.mark.parametrize(
    ("kv_heads", "group", "key", "value", "window"),
    [
        (3, 3, 64, 64, None),
        (2, 1, 48, 32, None),
        (1, 4, 64, 64, 20),
        (2, 2, 192, 128, None),
        (1, 8, 128, 128, 1),
    ],
)


@SHAPES
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_attention_is_torchs_and_the_same_for_a_prompt_and_for_token_after_token(
    kv_heads, group, key, value, window, dtype
):
    length, start, capacity = 333, 64, 512
    memory = (
        torch.zeros(2048 * kv_heads, key, dtype=dtype),
        torch.zeros(2048 * kv_heads, value, dtype=dtype),
    )
    q = torch.randn(1, kv_heads * group, length, key)
    k, v = torch.randn(1, kv_heads, length, key), torch.randn(1, kv_heads, length, value)

    def read(*cuts: int) -> torch.Tensor:
        """All tokens, in steps that begin at `cuts`."""
        for each in memory:
            each.zero_()
        parts = []
        for begin, end in zip(cuts, (*cuts[1:], length), strict=True):
            rows = [(at - begin, min(16, end - at), at, start, capacity) for at in range(begin, end, 16)]
            query, keys, values = (tensor[:, :, begin:end] for tensor in (q, k, v))
            parts.append(native.attend(query, keys, values, memory, native.blocks(rows), key**-0.5, window))
        return torch.cat(parts, 1)

    whole = read(0)
    seen = torch.ones(length, length, dtype=torch.bool).tril()
    if window:
        seen &= ~torch.ones(length, length, dtype=torch.bool).tril(-window)
    kept_k, kept_v = (t.to(dtype).float().repeat_interleave(group, 1) for t in (k, v))
    expected = F.scaled_dot_product_attention(q, kept_k, kept_v, attn_mask=seen)[0].transpose(0, 1)
    torch.testing.assert_close(whole[0], expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(read(*range(length)), whole)
    assert torch.equal(read(0, 7, 90, 200), whole)


def test_a_row_that_is_not_finite_stays_so_and_alone():
    x = torch.randn(5, 64)
    x[1, 3], x[3, 0] = torch.nan, torch.inf
    broken = torch.tensor([False, True, False, True, False])
    assert torch.equal(native.rms_norm(x, torch.ones(64), 1e-5).isnan().any(-1), broken)
    assert torch.equal(native.PackedInt8(torch.randn(9, 64), None)(x).isfinite().all(-1), ~broken)
    gated = native.silu_gate(torch.cat((x, torch.randn(5, 64)), -1))
    assert torch.equal(gated.isnan().any(-1), torch.tensor([False, True, False, False, False]))


def test_without_a_compiler_or_with_one_that_fails_there_are_none(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert build.built(tmp_path / "cache") is None
    failing = tmp_path / "cc"
    failing.write_text("#!/bin/sh\nexit 1\n")
    failing.chmod(0o755)
    assert build.built(tmp_path / "cache") is None
    assert os.listdir(tmp_path / "cache") == []
