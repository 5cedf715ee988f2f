"""What an audit reports of every kind of layer, packed, parametrised or tied."""

import copy

import numpy as np
import pytest
import torch
from audits import NUMBERS, audit_small, only, rows_of
from safetensors.torch import save_file
from torch import nn
from torch.nn.utils import prune

from hearsay.spectral.columns import COLUMNS, STATUSES, SUCCESSES
from hearsay.spectral.matrices import CONVENTIONS
from hearsay.spectral.power_law import fit_power_law
from hearsay.spectral.report import audit
from hearsay.spectral.spectrum import eigenvalues

# --- nothing disappears --------------------------------------------------------------------------


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_every_parameter_of_two_dimensions_appears_once(zoo, convention):
    frame = audit(zoo, convention=convention, min_size=10)
    listed = set(frame["name"]).union(*(set(a.split(";")) for a in frame["aliases"])) - {""}
    expected = {name for name, p in zoo.named_parameters(remove_duplicate=False) if p.ndim >= 2} | {
        "mask",
        "index",
        "normed.weight",
        "old_normed.weight",
        "spectral.weight",
    }
    assert listed == expected
    assert set(frame["status"]) <= set(STATUSES)
    assert list(frame.columns) == list(COLUMNS)
    failed = ~frame["status"].isin(SUCCESSES)
    assert frame.loc[failed, [*NUMBERS, "n_tail"]].isna().all().all()
    assert (frame.loc[failed, "reason"] != "").all()
    assert frame.loc[~failed, "alpha"].notna().all()
    assert (frame.loc[frame["status"] == "ok", "reason"] == "").all()
    analysed = frame[frame["N"].notna()]
    assert (analysed["N"] >= analysed["M"]).all()


def test_a_state_dict_lists_the_same_weights_as_its_module(zoo):
    of_module = audit_small(zoo)
    of_dict = audit_small(zoo.state_dict())
    names = {name for name, p in zoo.state_dict().items() if p.ndim >= 2}
    aliases = ";".join(of_dict["aliases"])
    assert names <= set(of_dict["name"]) | set(aliases.split(";"))
    same = [n for n in of_module["name"].unique() if n.split(".")[0] not in AMBIGUOUS]
    for name in same:
        one, other = rows_of(of_module, name), rows_of(of_dict, name)
        assert [r["status"] for r in one] == [r["status"] for r in other], name
        assert [r["slice"] for r in one] == [r["slice"] for r in other], name
        # Weight normalisation is undone in float64 for a file, by the module itself in float32.
        tolerance = 1e-6 if "norm" in name else 0
        np.testing.assert_allclose(
            [r["alpha"] for r in one], [r["alpha"] for r in other], rtol=tolerance
        )


# What a state dict cannot tell: groups, Bilinear's axes, and the weight behind a parametrisation
# other than weight normalisation; and masks, since buffers look like parameters.
AMBIGUOUS = {"grouped", "depthwise", "bilinear", "spectral", "mask", "position"}


def test_kinds_and_slices_of_a_module(zoo):
    frame = audit_small(zoo)
    kinds = dict(zip(frame["name"], frame["kind"], strict=True))
    expected = {
        "embed.weight": "embedding",
        "bag.weight": "embedding",
        "linear.weight": "linear",
        "conv1.weight": "conv1d",
        "conv3.weight": "conv3d",
        "up1.weight": "conv_transpose1d",
        "up3.weight": "conv_transpose3d",
        "attention.in_proj_weight": "attention",
        "attention.out_proj.weight": "linear",
        "cross.k_proj_weight": "attention",
        "lstm.weight_hh_l1_reverse": "lstm",
        "gru.weight_ih_l0": "gru",
        "rnn.weight_ih_l0": "rnn",
        "cell.weight_hh": "lstm",
        "bilinear.weight": "bilinear",
        "h.c_attn.weight": "attention",
        "h.c_proj.weight": "linear",
        "normed.weight": "linear",
        "old_normed.weight": "conv1d",
        "mask": "buffer",
    }
    assert {name: kinds[name] for name in expected} == expected
    slices = {name: list(part["slice"]) for name, part in frame.groupby("name")}
    assert slices["conv1.weight"] == ["0", "1", "2", "3", "4"]
    assert slices["conv3.weight"] == ["0,0,0", "0,0,1", "0,1,0", "0,1,1"]
    assert slices["attention.in_proj_weight"] == slices["h.c_attn.weight"] == ["q", "k", "v"]
    assert slices["lstm.weight_ih_l0"] == [f"gate {k}" for k in range(4)]
    assert slices["lstm.weight_hr_l0"] == slices["rnn.weight_hh_l0"] == [""]
    assert slices["gru.weight_hh_l0"] == [f"gate {k}" for k in range(3)]
    assert slices["bilinear.weight"] == ["output 0", "output 1", "output 2"]
    assert len(slices["grouped.weight"]) == 2 * 9


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("depthwise.weight", "depthwise (16 groups): each kernel position is a vector"),
        ("gray.weight", "one channel (16 x 1): each kernel position is a vector"),
        ("attention.bias_k", "a bias or a mask, not a weight matrix"),
        ("mask", "a buffer, not a parameter"),
        ("index", "a buffer, not a parameter"),
        ("scale", "not a matrix after squeezing: 16 x 1 x 1"),
        ("blocks", "not a matrix after squeezing: 3 x 4 x 5 x 6 x 7 x 8"),
        (
            "normed.parametrizations.weight.original1",
            "a factor of normed.weight, which is analysed instead",
        ),
        ("old_normed.weight_v", "a factor of old_normed.weight, which is analysed instead"),
    ],
)
def test_what_is_skipped_says_why(zoo, name, reason):
    row = only(audit_small(zoo), name)
    assert (row["status"], row["reason"]) == ("skipped", reason)


def test_skipped_in_a_state_dict(heavy):
    state = {
        "conv.weight": heavy(16, 1, 3, 3),
        "ids": torch.arange(40).reshape(4, 10),
        "z.weight": torch.randn(12, 12, dtype=torch.complex64),
        "q.weight": torch.zeros(12, 12).to(torch.float8_e4m3fn),
        "h.0.attn.bias": torch.ones(1, 1, 12, 12).tril(),
        "s.weight": torch.eye(12).to_sparse(),
        "m.weight": torch.empty(12, 12, device="meta"),
        "e.weight": torch.empty(0, 12),
        "l.parametrizations.weight.original": heavy(12, 12),
        "o.weight_orig": heavy(12, 12),
        "o.weight_u": heavy(12),
        "row.weight": heavy(1, 12),
        "experts": heavy(4, 12, 12),
        "packed_params": (torch.zeros(12, 12, dtype=torch.int8), None),
    }
    frame = audit_small(state)
    assert (frame["status"] == "skipped").all()
    words = dict(zip(frame["name"], frame["reason"], strict=True))
    assert "depthwise, or one input channel" in words["conv.weight"]
    assert words["ids"] == "values of type int64, not real numbers"
    assert "complex" in words["z.weight"]
    assert "quantised (float8_e4m3fn)" in words["q.weight"]
    assert "a bias or a mask" in words["h.0.attn.bias"]
    assert "sparse_coo" in words["s.weight"]
    assert "meta device" in words["m.weight"]
    assert "without values" in words["e.weight"]
    assert "audit the module itself" in words["l.parametrizations.weight.original"]
    assert "audit the module itself" in words["o.weight_orig"]
    assert words["row.weight"] == "not a matrix after squeezing: 1 x 12"
    assert words["packed_params.0"] == "values of type int8, not real numbers"
    assert words["experts"] == "not a matrix after squeezing: 4 x 12 x 12"


def test_a_lazy_module_is_listed():
    (row,) = audit_small(nn.LazyLinear(3, bias=False)).to_dict("records")
    assert (row["status"], row["shape"]) == ("skipped", "")
    assert "not initialised" in row["reason"]


# --- packed, parametrised, tied ------------------------------------------------------------------


def blocks_match(frame, name, blocks):
    rows = rows_of(frame, name)
    assert len(rows) == len(blocks)
    for row, block in zip(rows, blocks, strict=True):
        fit = fit_power_law(eigenvalues(block, normalise=True))
        assert row["alpha"] == pytest.approx(fit.alpha, rel=1e-12)
        assert (row["N"], row["M"]) == (max(block.shape), min(block.shape))


def test_packed_projections_split_where_they_are_packed(zoo):
    frame = audit_small(zoo)
    blocks_match(frame, "attention.in_proj_weight", zoo.attention.in_proj_weight.chunk(3, 0))
    blocks_match(frame, "h.c_attn.weight", zoo.h["c_attn"].weight.chunk(3, 1))
    blocks_match(frame, "lstm.weight_hh_l0", zoo.lstm.weight_hh_l0.chunk(4, 0))
    blocks_match(frame, "gru.weight_ih_l0", zoo.gru.weight_ih_l0.chunk(3, 0))
    whole = audit_small(zoo, split_packed=False)
    blocks_match(whole, "attention.in_proj_weight", [zoo.attention.in_proj_weight])
    blocks_match(whole, "lstm.weight_hh_l0", [zoo.lstm.weight_hh_l0])
    assert only(whole, "lstm.weight_hh_l0")["slice"] == ""


def test_packed_names_of_the_field(heavy):
    packed = {
        "a.in_proj_weight": (heavy(36, 12), "qkv", 0),
        "b.c_attn.weight": (heavy(12, 36), "qkv", 1),
        "c.c_attn.weight": (heavy(36, 12), "qkv", 0),
        "d.crossattention.c_attn.weight": (heavy(12, 24), "kv", 1),
        "patch_embed.qkv.weight": (heavy(36, 12), "qkv", 0),
        "f.Wqkv.weight": (heavy(36, 12), "qkv", 0),
        "g.to_qkv.weight": (heavy(60, 12), "qkv", 0),
        "h.kv.weight": (heavy(24, 12), "kv", 0),
    }
    frame = audit_small({name: weight for name, (weight, _, _) in packed.items()})
    for name, (weight, parts, axis) in packed.items():
        blocks_match(frame, name, weight.chunk(len(parts), axis))
        assert [row["slice"] for row in rows_of(frame, name)] == list(parts)
    assert set(frame["kind"]) == {"attention"}
    # Interleaved by heads, or of unequal blocks: whole, since a wrong split would be a lie.
    whole = {"a.query_key_value.weight": heavy(36, 12), "b.qkv_proj.weight": heavy(20, 12)}
    frame = audit_small(whole)
    assert list(frame["slice"]) == ["", ""]
    assert set(frame["kind"]) == {"attention"}


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_a_dense_layer_stored_as_a_convolution_is_one_matrix(heavy, convention):
    net = nn.Module()
    net.pre_logits = nn.Module()
    net.pre_logits.fc1 = nn.Conv2d(6, 52, 3, bias=False)  # as timm's VGG, there 512 x 7 x 7
    net.pre_logits.fc1.weight.data = weight = heavy(52, 6, 3, 3)
    dense = audit({"fc.weight": weight.flatten(1)}, convention=convention).iloc[0]
    for source in (net, net.state_dict()):
        (row,) = audit(source, convention=convention).to_dict("records")
        assert (row["kind"], row["slice"], row["N"], row["M"]) == ("linear", "", 54, 52)
        assert row["alpha"] == dense["alpha"]


def test_embeddings_by_name(heavy):
    names = ["wte", "h.emb", "tok_emb", "model.embed_tokens", "embeddings.word_embeddings"]
    state = {f"{name}.weight": heavy(30, 12) for name in names} | {"pos_embed": heavy(1, 30, 12)}
    frame = audit_small(state | {"embeddings.dense.weight": heavy(12, 12)})
    assert list(frame["kind"]) == ["embedding"] * 5 + ["parameter", "linear"]
    assert frame["status"].isin(SUCCESSES).all()


def test_weight_normalisation_is_undone(zoo):
    frame = audit_small(zoo)
    for name, weight in (
        ("normed.weight", zoo.normed.weight),
        ("spectral.weight", copy.deepcopy(zoo.spectral).eval().weight),
    ):
        assert only(frame, name)["lambda_max"] == pytest.approx(
            eigenvalues(weight.detach(), normalise=True)[-1], rel=1e-5
        )
    v, g = zoo.old_normed.weight_v.detach(), zoo.old_normed.weight_g.detach()
    weight = v * g / v.flatten(1).norm(dim=1)[:, None, None]
    assert rows_of(frame, "old_normed.weight")[1]["lambda_max"] == pytest.approx(
        eigenvalues(weight[:, :, 1], normalise=True)[-1], rel=1e-5
    )
    assert only(audit_small(zoo.state_dict()), "normed.weight")["lambda_max"] == pytest.approx(
        only(frame, "normed.weight")["lambda_max"], rel=1e-5
    )


def test_factors_in_float64_are_not_written_to(heavy):
    state = {"fc.weight_g": heavy(14, 1).double(), "fc.weight_v": heavy(14, 16).double()}
    before = {name: tensor.clone() for name, tensor in state.items()}
    assert only(audit_small(state), "fc.weight")["status"] in SUCCESSES
    assert all(torch.equal(state[name], tensor) for name, tensor in before.items())


def test_rank_is_judged_by_the_stored_type(heavy):
    # In float64 the product of float32 factors would look like one of full rank.
    state = {"fc.weight_g": heavy(30, 1), "fc.weight_v": heavy(30, 4) @ heavy(4, 30)}
    assert only(audit_small(state), "fc.weight")["status"] == "rank_deficient"


def test_pruning_is_undone(heavy):
    layer = nn.Linear(40, 30)
    layer.weight.data = heavy(30, 40)
    prune.l1_unstructured(layer, "weight", amount=0.5)
    expected = eigenvalues(layer.weight.detach(), normalise=True)[-1]
    for source in (layer, layer.state_dict()):
        frame = audit_small(source)
        assert only(frame, "weight")["lambda_max"] == pytest.approx(expected, rel=1e-12)
        assert only(frame, "weight_orig")["status"] == "skipped"
        assert only(frame, "weight_mask")["status"] == "skipped"


def test_names_like_those_of_factors_are_weights(heavy):
    state = {"cell.weight_g": heavy(14, 14), "cell.weight_v": heavy(14, 14)}
    assert audit_small(state)["status"].isin(SUCCESSES).all()


def test_a_weight_is_no_alias_of_a_buffer(heavy):
    net = nn.Module()
    net.register_buffer("view", heavy(14, 14))
    net.fc = nn.Linear(14, 14)
    net.fc.weight.data = net.view
    frame = audit_small(net)
    assert only(frame, "view")["status"] == "skipped"
    assert only(frame, "fc.weight")["status"] in SUCCESSES


def test_tied_weights_come_once_with_their_aliases(zoo):
    frame = audit_small(zoo)
    assert only(frame, "embed.weight")["aliases"] == "tied.weight"
    assert all(row["aliases"] == "again.weight" for row in rows_of(frame, "conv1.weight"))
    assert not {"tied.weight", "again.weight"} & set(frame["name"])


def test_a_part_of_a_weight_is_no_tie(heavy):
    weight = heavy(20, 12)
    frame = audit_small({"all.weight": weight, "part.weight": weight[:15]})
    assert list(frame["N"]) == [20, 15]


def test_ties_in_files(tmp_path, heavy):
    embed, other = heavy(40, 12), heavy(40, 12)
    state = {
        "embed.weight": embed,
        "fc.weight": other,
        "head.weight": embed,
        "z1.weight": torch.zeros(40, 12),
        "z2.weight": torch.zeros(40, 12),
    }
    torch.save(state, tmp_path / "a.pth")
    save_file({name: value.clone() for name, value in state.items()}, tmp_path / "a.safetensors")
    for path in ("a.pth", "a.safetensors"):
        frame = audit_small(tmp_path / path)
        assert only(frame, "embed.weight")["aliases"] == "head.weight"
        assert only(frame, "fc.weight")["aliases"] == ""
        assert "head.weight" not in set(frame["name"])
        # Equal zeros are no tie.
        assert list(frame.loc[frame["status"] == "zero", "name"]) == ["z1.weight", "z2.weight"]
    # Copies that a checkpoint keeps apart are apart, such as layers cloned before training.
    torch.save({"a.weight": embed, "b.weight": embed.clone()}, tmp_path / "b.pth")
    assert list(audit_small(tmp_path / "b.pth")["name"]) == ["a.weight", "b.weight"]


def test_aliases_of_a_convolution_reach_every_slice(tmp_path, heavy):
    weight = heavy(12, 12, 1, 2)
    state = {"a.weight": weight, "b.weight": weight.clone(), "c.weight": weight.clone()}
    save_file(state, tmp_path / "a.safetensors")
    frame = audit_small(tmp_path / "a.safetensors")
    assert list(frame["aliases"]) == ["b.weight;c.weight"] * 2
