"""Multiply-accumulates and parameters: the published models and the notes' arithmetic."""

import pytest

from hearsay.errors import InputError
from hearsay.lm.operations import dense_macs, effective_macs, parameter_count

PTB, WIKITEXT = 10_000, 33_278


def stack(hidden: int, embedding: int) -> list[tuple[int, int]]:
    return [(embedding, hidden), (hidden, hidden), (hidden, embedding)]


def millions(number: float) -> float:
    return round(number / 1e6, 2)


# Hidden and embedding sizes, vocabulary, mean activity sparsity, millions without and with decoder.
@pytest.mark.parametrize(
    ("hidden", "embedding", "vocabulary", "sparsity", "without", "with_decoder"),
    [
        (1350, 400, PTB, 0.880, 3.84, 4.32),
        (2000, 400, PTB, 0.904, 6.13, 6.52),
        (2700, 400, PTB, 0.932, 7.95, 8.23),
        (1350, 740, PTB, 0.830, 6.57, 7.83),
        (2000, 740, PTB, 0.858, 10.42, 11.47),
        (1350, 740, WIKITEXT, 0.803, 7.14, 11.99),
        (2000, 740, WIKITEXT, 0.839, 11.22, 15.18),
    ],
)
def test_effective_macs_of_published_sparsities(
    hidden, embedding, vocabulary, sparsity, without, with_decoder
):
    active = [1 - sparsity] * 3
    sizes = stack(hidden, embedding)
    assert millions(effective_macs(sizes, vocabulary, active, decoder=False)) == without
    assert millions(effective_macs(sizes, vocabulary, active)) == with_decoder


def test_a_lookup_table_saves_the_first_product():
    active = [0.17] * 3
    with_table = effective_macs(stack(1350, 750), PTB, active, lookup=True)
    assert effective_macs(stack(1350, 750), PTB, active) - with_table == 3 * 750 * 1350
    assert millions(with_table) == 4.87


def test_hand_example_with_unequal_layers():
    # 3·2·4 [embedding] + 3·0.5·16 + 3·0.5·4·3 [layer 1] + 3·1·9 [layer 2] + 1·3·10 [decoder]
    assert effective_macs([(2, 4), (4, 3)], 10, [0.5, 1.0]) == 24 + 24 + 18 + 27 + 30


def test_dense_models():
    gru = stack(1350, 400)
    assert millions(dense_macs(gru, PTB, cell="gru", decoder=False)) == 20.12
    assert millions(dense_macs(gru, PTB, cell="gru")) == 24.12
    assert millions(dense_macs(stack(1150, 400), PTB, cell="lstm")) == 24.19
    assert millions(dense_macs(stack(1150, 400), WIKITEXT, cell="lstm")) == 33.50
    assert dense_macs(stack(1350, 750), PTB) == 31_665_000
    assert dense_macs(stack(1350, 750), PTB, lookup=True) == 31_665_000 - 3 * 750 * 1350


def test_all_active_is_dense():
    for lookup in (False, True):
        for decoder in (False, True):
            how = {"lookup": lookup, "decoder": decoder}
            dense = dense_macs(stack(70, 30), 500, **how)
            assert effective_macs(stack(70, 30), 500, [1, 1, 1], **how) == dense


def test_all_silent_is_the_embedding_only():
    assert effective_macs(stack(70, 30), 500, [0, 0, 0]) == 3 * 30 * 70
    assert effective_macs(stack(70, 30), 500, [0, 0, 0], lookup=True) == 0


@pytest.mark.parametrize(
    ("hidden", "vocabulary", "published"),
    [
        (1350, PTB, 31.70),
        (2000, PTB, 54.23),
        (1350, WIKITEXT, 49.18),
        (2000, WIKITEXT, 71.71),
    ],
)
def test_parameter_counts(hidden, vocabulary, published):
    # The public code has two biases per gate.
    sizes = stack(hidden, 750)
    assert millions(parameter_count(sizes, vocabulary, variant="evnn")) == published
    paper = parameter_count(sizes, vocabulary)
    assert parameter_count(sizes, vocabulary, variant="evnn") - paper == 3 * (2 * hidden + 750)


@pytest.mark.parametrize(
    ("cell", "variant"), [("egru", "paper"), ("egru", "evnn"), ("gru", "paper"), ("lstm", "paper")]
)
def test_parameter_count_is_that_of_the_model(cell, variant):
    from hearsay.lm.language_model import LanguageModel

    options = {"variant": variant} if cell == "egru" else {}
    model = LanguageModel(50, 6, 8, num_layers=3, cell=cell, **options)
    counted = sum(parameter.numel() for parameter in model.parameters())
    assert parameter_count(model.layer_sizes, 50, cell=cell, variant=variant) == counted


def test_faults_name_what_is_wrong():
    with pytest.raises(InputError, match="2 active fractions for 3 layers"):
        effective_macs(stack(70, 30), 500, [0.1, 0.2])
    with pytest.raises(InputError, match="between 0 and 1"):
        effective_macs(stack(70, 30), 500, [0.1, 0.2, 17])
    with pytest.raises(InputError, match="unknown cell 'rnn'"):
        dense_macs(stack(70, 30), 500, cell="rnn")
    with pytest.raises(InputError, match="70 is not 71"):
        dense_macs([(30, 70), (71, 30)], 500)
    with pytest.raises(InputError, match="no layer sizes"):
        dense_macs([], 500)
