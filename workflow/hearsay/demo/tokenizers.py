"""Tokenisers of the demo's language models, in the files that transformers reads."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

BERT_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
GPT2_SPECIAL = "<|endoftext|>"
ALIGNMENT = " $"


def wordpiece_tokenizer(text: Sequence[str], length: int) -> "PreTrainedTokenizerFast":
    """WordPiece with every word of `text` whole, and single characters for all others.

    Special tokens are BERT's; sequences become ``[CLS] … [SEP]``; text is put in lower case.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    characters = sorted({*"abcdefghijklmnopqrstuvwxyz0123456789'$=.,?!-"})
    pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    normalizer = normalizers.BertNormalizer(lowercase=True)
    counts = Counter(
        piece for line in text for piece, _ in pre_tokenizer.pre_tokenize_str(line.lower())
    )
    words = [word for word, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]
    pieces = [*BERT_SPECIAL, *characters, *(f"##{c}" for c in characters), *words]
    vocabulary = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(t, vocabulary[t]) for t in ("[CLS]", "[SEP]")],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=length,
    )


def byte_level_tokenizer(
    text: Sequence[str], vocabulary: int, length: int
) -> "PreTrainedTokenizerFast":
    """GPT-2's byte-level pair encoding, trained on `text`.

    The alignment token `ALIGNMENT` becomes one token, as in GPT-2's own vocabulary.

    Raises
    ------
    ValueError
        if it did not: `text` holds too few of them.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[GPT2_SPECIAL],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(text, trainer)
    if len(tokenizer.encode(ALIGNMENT).ids) != 1:
        raise ValueError(f"{ALIGNMENT!r} is not one token")
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=GPT2_SPECIAL,
        eos_token=GPT2_SPECIAL,
        unk_token=GPT2_SPECIAL,
        model_max_length=length,
    )
