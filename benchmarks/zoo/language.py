"""Language models of transformers, and of peft over them."""

from typing import Any

import torch
from transformers import (
    BartConfig,
    BartForSequenceClassification,
    BertConfig,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    ElectraConfig,
    ElectraForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    MixtralConfig,
    MixtralForCausalLM,
    OPTConfig,
    OPTForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    RobertaConfig,
    RobertaForSequenceClassification,
    T5Config,
    T5ForConditionalGeneration,
)

import asng
from asng import nn as snn
from benchmarks.zoo.entry import Entry, tokens

__all__ = ["ENTRIES"]

SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "vocab_size": 99,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
    "use_cache": False,  # with it, torch.export fails on an output of an unknown type
}


def sentences(n: int) -> dict[str, Any]:
    """Return a batch of sentences with a class each."""
    ids = tokens(n)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": torch.arange(n) % 2}


def texts(n: int) -> dict[str, Any]:
    """Return a batch of texts to continue."""
    ids = tokens(n)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": ids}


def translations(n: int) -> dict[str, Any]:
    """Return a batch of texts with their translations."""
    ids = tokens(n)
    return {"input_ids": ids, "decoder_input_ids": ids, "labels": ids}


def ffn() -> Any:
    """Return the variable of most models: one width of all feed-forward parts."""
    return asng.Integer(16, 64, label="ffn", step=8)


def intermediate(config: Any, architecture: Any) -> None:
    """Write this width into the config of most models."""
    config.intermediate_size = architecture["ffn"]


def search_bert(model: Any) -> None:
    """Make BERT, RoBERTa or ELECTRA searchable."""
    for layer in model.base_model.encoder.layer:
        layer.intermediate.dense = snn.Linear(32, ffn())
        layer.output.dense = snn.Linear(64, 32)


def search_distilbert(model: Any) -> None:
    """Make DistilBERT searchable."""
    for layer in model.distilbert.transformer.layer:
        layer.ffn.lin1, layer.ffn.lin2 = snn.Linear(32, ffn()), snn.Linear(64, 32)


def write_distilbert(config: Any, architecture: Any) -> None:
    """Write an architecture into DistilBERT's config."""
    config.hidden_dim = architecture["ffn"]


def search_gpt2(model: Any) -> None:
    """Search in GPT-2, which has no Linear, the activation and which blocks have a feed-forward part."""
    for number, block in enumerate(model.transformer.h):
        block.mlp.act = snn.Activation(["ReLU", "SiLU", "Tanh"], label="activation")
        block.mlp = snn.Choice({"mlp": block.mlp, "none": torch.nn.Identity()}, label=f"mlp{number}")


def search_opt(model: Any) -> None:
    """Make OPT searchable."""
    for layer in model.model.decoder.layers:
        layer.fc1, layer.fc2 = snn.Linear(32, ffn()), snn.Linear(64, 32)


def write_opt(config: Any, architecture: Any) -> None:
    """Write an architecture into OPT's config."""
    config.ffn_dim = architecture["ffn"]


def search_llama(model: Any) -> None:
    """Make Llama, Mistral or Qwen2 searchable."""
    for layer in model.model.layers:
        layer.mlp.gate_proj = snn.Linear(32, ffn(), bias=False)
        layer.mlp.up_proj = snn.Linear(32, ffn(), bias=False)
        layer.mlp.down_proj = snn.Linear(64, 32, bias=False)


def search_neox(model: Any) -> None:
    """Make GPT-NeoX searchable."""
    for layer in model.gpt_neox.layers:
        layer.mlp.dense_h_to_4h = snn.Linear(32, ffn())
        layer.mlp.dense_4h_to_h = snn.Linear(64, 32)


def search_mixtral(model: Any) -> None:
    """Search in Mixtral, whose experts are one tensor, which layers have experts."""
    for number, layer in enumerate(model.model.layers):
        plain = torch.nn.Sequential(torch.nn.Linear(32, 64), torch.nn.SiLU(), torch.nn.Linear(64, 32))
        layer.mlp = snn.Choice({"experts": layer.mlp, "dense": plain}, label=f"mlp{number}")


def search_t5(model: Any) -> None:
    """Make T5 searchable."""
    for block in (*model.encoder.block, *model.decoder.block):
        block.layer[-1].DenseReluDense.wi = snn.Linear(32, ffn(), bias=False)
        block.layer[-1].DenseReluDense.wo = snn.Linear(64, 32, bias=False)


def write_t5(config: Any, architecture: Any) -> None:
    """Write an architecture into T5's config."""
    config.d_ff = architecture["ffn"]


def search_bart(model: Any) -> None:
    """Make BART searchable, with separate widths for encoder and decoder."""
    for name in ("encoder", "decoder"):
        for layer in getattr(model.model, name).layers:
            layer.fc1 = snn.Linear(32, asng.Integer(16, 64, label=name, step=8))
            layer.fc2 = snn.Linear(64, 32)


def write_bart(config: Any, architecture: Any) -> None:
    """Write an architecture into BART's config."""
    config.encoder_ffn_dim, config.decoder_ffn_dim = architecture["encoder"], architecture["decoder"]


def bart() -> Any:
    """Return a BART."""
    sides = {"encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "encoder_layers": 1, "decoder_layers": 1}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
    special = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 2}
    config = BartConfig(d_model=32, vocab_size=99, num_labels=2, use_cache=False, **sides, **heads, **special)
    return BartForSequenceClassification(config)


def ended(n: int) -> dict[str, Any]:
    """Return sentences with an end token, which BART requires."""
    batch = sentences(n)
    batch["input_ids"][:, -1] = 2
    return batch


def t5() -> Any:
    """Return a T5."""
    return T5ForConditionalGeneration(
        T5Config(d_model=32, d_kv=16, d_ff=64, num_layers=1, num_heads=2, vocab_size=99, use_cache=False)
    )


def distilbert() -> Any:
    """Return a DistilBERT."""
    return DistilBertForSequenceClassification(
        DistilBertConfig(dim=32, n_layers=2, n_heads=2, hidden_dim=64, vocab_size=99)
    )


def gpt2() -> Any:
    """Return a GPT-2."""
    special = {"bos_token_id": 1, "eos_token_id": 2, "use_cache": False}
    config = GPT2Config(n_embd=32, n_layer=2, n_head=2, vocab_size=99, **special)
    return GPT2LMHeadModel(config)


def opt() -> Any:
    """Return an OPT."""
    small = {key: value for key, value in SMALL.items() if key != "intermediate_size"}
    return OPTForCausalLM(OPTConfig(ffn_dim=64, word_embed_proj_dim=32, **small))


def lora(model: Any, targets: list[str]) -> Any:
    """Return a model with low-rank adapters on its attention."""
    from peft import LoraConfig, get_peft_model

    return get_peft_model(model, LoraConfig(r=4, target_modules=targets))


def search_lora_bert(model: Any) -> None:
    """Make BERT with adapters searchable."""
    for layer in model.base_model.model.bert.encoder.layer:
        layer.intermediate.dense = snn.Linear(32, ffn())
        layer.output.dense = snn.Linear(64, 32)


def search_lora_llama(model: Any) -> None:
    """Make Llama with adapters searchable."""
    for layer in model.base_model.model.model.layers:
        layer.mlp.gate_proj = snn.Linear(32, ffn(), bias=False)
        layer.mlp.up_proj = snn.Linear(32, ffn(), bias=False)
        layer.mlp.down_proj = snn.Linear(64, 32, bias=False)


def bert() -> Any:
    """Return a BERT."""
    return BertForSequenceClassification(BertConfig(**SMALL))


def llama() -> Any:
    """Return a Llama."""
    return LlamaForCausalLM(LlamaConfig(**SMALL, num_key_value_heads=1))


APART = "the config knows no such part"
ADAPTED = "save_pretrained of adapters keeps these alone, for the model that they were made for"

ENTRIES = [
    Entry("BERT", "transformers", bert, search_bert, sentences, write=intermediate),
    Entry(
        "RoBERTa",
        "transformers",
        lambda: RobertaForSequenceClassification(RobertaConfig(**SMALL)),
        search_bert,
        sentences,
        write=intermediate,
    ),
    Entry(
        "ELECTRA",
        "transformers",
        lambda: ElectraForSequenceClassification(ElectraConfig(**SMALL, embedding_size=16)),
        search_bert,
        sentences,
        write=intermediate,
    ),
    Entry("DistilBERT", "transformers", distilbert, search_distilbert, sentences, write=write_distilbert),
    Entry("GPT-2", "transformers", gpt2, search_gpt2, texts, reason=APART),
    Entry("OPT", "transformers", opt, search_opt, texts, write=write_opt),
    Entry("Llama", "transformers", llama, search_llama, texts, write=intermediate),
    Entry(
        "Mistral",
        "transformers",
        lambda: MistralForCausalLM(MistralConfig(**SMALL, num_key_value_heads=1)),
        search_llama,
        texts,
        write=intermediate,
    ),
    Entry(
        "Qwen2",
        "transformers",
        lambda: Qwen2ForCausalLM(Qwen2Config(**SMALL, num_key_value_heads=1)),
        search_llama,
        texts,
        write=intermediate,
    ),
    Entry(
        "GPT-NeoX",
        "transformers",
        lambda: GPTNeoXForCausalLM(GPTNeoXConfig(**SMALL)),
        search_neox,
        texts,
        write=intermediate,
    ),
    Entry(
        "Mixtral",
        "transformers",
        lambda: MixtralForCausalLM(MixtralConfig(**SMALL, num_key_value_heads=1, num_local_experts=4)),
        search_mixtral,
        texts,
        reason=APART,
    ),
    Entry("T5", "transformers", t5, search_t5, translations, write=write_t5),
    Entry("BART", "transformers", bart, search_bart, ended, write=write_bart),
    Entry(
        "BERT with LoRA",
        "peft",
        lambda: lora(bert(), ["query", "value"]),
        search_lora_bert,
        sentences,
        reason=ADAPTED,
    ),
    Entry(
        "Llama with LoRA",
        "peft",
        lambda: lora(llama(), ["q_proj", "v_proj"]),
        search_lora_llama,
        texts,
        reason=ADAPTED,
    ),
]
