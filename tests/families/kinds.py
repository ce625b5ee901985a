"""The families of classifiers that are built small, exported and compared with torch, row by row; forms.py has more."""

from tests.families.kind import Kind

_GROUPED = {"num_key_value_heads": 2}
_GPT = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64}
_OLD_XLM = {"emb_dim": 32, "n_layers": 2, "n_heads": 4}
_OFFSET = {"max_position_embeddings": 66}  # positions start after the padding id
_PAIR = {  # an encoder and a decoder
    "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4,
    "decoder_attention_heads": 4, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "init_std": 0.25,
}  # fmt: skip
_T5 = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4, "decoder_start_token_id": 1}
_DEBERTA = {
    "pos_att_type": ["c2p", "p2c"], "relative_attention": True, "max_relative_positions": -1, "type_vocab_size": 0,
    "position_biased_input": False,
}  # fmt: skip
_DEBERTA_V3 = {**_DEBERTA, "position_buckets": 16, "norm_rel_ebd": "layer_norm", "share_att_key": True}


FAMILIES = [
    Kind("albert", "Albert", {"embedding_size": 16}, types=True),
    Kind(
        "albert, 2 groups", "Albert", {"embedding_size": 16, "num_hidden_layers": 4, "num_hidden_groups": 2}, types=True
    ),
    Kind("bart", "Bart", _PAIR),
    Kind("bert", "Bert", types=True),
    Kind("bert, single texts", "Bert"),
    Kind("big_bird, full attention", "BigBird", {"attention_type": "original_full"}, types=True),
    Kind(
        "big_bird, block_sparse",
        "BigBird",
        {"block_size": 2, "num_random_blocks": 1, "max_position_embeddings": 64},
        refused="depend on the order of the texts",
        types=True,
    ),
    Kind("bigbird_pegasus", "BigBirdPegasus", {**_PAIR, "attention_type": "original_full"}),
    Kind("bloom", "Bloom", {"n_layer": 2, "n_head": 4}),
    Kind("camembert", "Camembert", _OFFSET),
    Kind("convbert", "ConvBert", {"embedding_size": 32}, refused="when it is padded", types=True),
    Kind("ctrl", "CTRL", {**_GPT, "dff": 64}),
    Kind("data2vec-text", "Data2VecText", _OFFSET),
    Kind("deberta", "Deberta", _DEBERTA),
    Kind("deberta-v2", "DebertaV2", {**_DEBERTA, "type_vocab_size": 2, "position_biased_input": True}, types=True),
    Kind("deberta-v3", "DebertaV2", _DEBERTA_V3),
    Kind("distilbert", "DistilBert", {"dim": 32, "hidden_dim": 64, "n_layers": 2, "n_heads": 4}),
    Kind("electra", "Electra", {"embedding_size": 16}, types=True),
    Kind("ernie", "Ernie", types=True),
    Kind("esm", "Esm", _OFFSET),
    Kind("falcon", "Falcon", {"alibi": False, "new_decoder_architecture": False}),
    Kind("flaubert", "Flaubert", _OLD_XLM),
    Kind("fnet", "FNet", refused="when it is padded", types=True),
    Kind(
        "funnel",
        "Funnel",
        {"d_model": 32, "num_hidden_layers": None, "block_sizes": [1, 1, 1], "n_head": 4, "d_head": 8, "d_inner": 64},
        refused="running the model in torch on text 0",  # of two tokens
        types=True,
    ),
    Kind("gemma", "Gemma", {**_GROUPED, "head_dim": 8}),
    Kind("gemma2", "Gemma2", {**_GROUPED, "head_dim": 8, "sliding_window": 16}),
    Kind("gemma3_text", "Gemma3Text", {**_GROUPED, "head_dim": 8, "sliding_window": 16}),
    Kind("gpt2", "GPT2", _GPT),
    Kind("gpt_bigcode", "GPTBigCode", _GPT),
    Kind(
        "gpt_neo",
        "GPTNeo",
        {"num_layers": 2, "num_heads": 4, "attention_types": [[["global", "local"], 1]], "window_size": 16},
    ),
    Kind("gpt_neox", "GPTNeoX"),
    Kind("gptj", "GPTJ", {**_GPT, "rotary_dim": 4}),
    Kind("ibert", "IBert", _OFFSET),
    Kind("layoutlm", "LayoutLM", types=True),
    Kind(
        "led",
        "LED",
        {**_PAIR, "attention_window": 8, "max_encoder_position_embeddings": 64, "max_decoder_position_embeddings": 64},
        refused="which tokens are global",
    ),
    Kind("llama", "Llama", _GROUPED),
    Kind("longformer", "Longformer", {"attention_window": [8, 8], **_OFFSET}, refused="which tokens are global"),
    Kind("luke", "Luke", {**_OFFSET, "entity_vocab_size": 10, "entity_emb_size": 16}),
    Kind("mbart", "MBart", _PAIR),
    Kind("megatron-bert", "MegatronBert", types=True),
    Kind("mistral", "Mistral", _GROUPED),
    Kind("mixtral", "Mixtral", {**_GROUPED, "num_local_experts": 4}, refused="a few of its experts"),
    Kind(  # with larger weights its losses are hundreds of nats
        "mobilebert",
        "MobileBert",
        {"embedding_size": 16, "intra_bottleneck_size": 16, "initializer_range": 0.18},
        types=True,
        std=0.18,
    ),
    Kind("modernbert", "ModernBert", {"local_attention": 16}),
    Kind("mpnet", "MPNet", _OFFSET),
    Kind("mpt", "Mpt", {"d_model": 32, "n_heads": 4, "n_layers": 2, "max_seq_len": 64}),
    Kind("mt5", "MT5", _T5),
    Kind(
        "nystromformer",
        "Nystromformer",
        {"num_landmarks": 64, "segment_means_seq_len": 64},
        refused="when it is padded",
        types=True,
    ),
    Kind("openai-gpt", "OpenAIGPT", _GPT),
    Kind("opt", "OPT", {"ffn_dim": 64, "word_embed_proj_dim": 32}),
    Kind("persimmon", "Persimmon"),
    Kind("phi", "Phi"),
    Kind("phi3", "Phi3", _GROUPED),
    Kind("plbart", "PLBart", _PAIR),
    Kind("qwen2", "Qwen2", _GROUPED),
    Kind(
        "qwen2_moe",
        "Qwen2Moe",
        {**_GROUPED, "num_experts": 4, "moe_intermediate_size": 32, "shared_expert_intermediate_size": 32},
        refused="a few of its experts",
    ),
    Kind("qwen3", "Qwen3", {**_GROUPED, "head_dim": 8}),
    Kind("rembert", "RemBert", {"input_embedding_size": 16}, types=True),
    Kind("roberta", "Roberta", _OFFSET),
    Kind("roberta-prelayernorm", "RobertaPreLayerNorm", _OFFSET),
    Kind("roformer", "RoFormer", types=True),
    Kind("smollm3", "SmolLM3", _GROUPED),
    Kind("squeezebert", "SqueezeBert", {"embedding_size": 32}, types=True),
    Kind("stablelm", "StableLm", _GROUPED),
    Kind("starcoder2", "Starcoder2", _GROUPED),
    Kind("t5", "T5", _T5),
    Kind("umt5", "UMT5", _T5),
    Kind("xlm", "XLM", _OLD_XLM),
    Kind("xlm-roberta", "XLMRoberta", _OFFSET),
    Kind("xlm-roberta-xl", "XLMRobertaXL", _OFFSET),
    Kind(
        "xlnet",
        "XLNet",
        {"max_position_embeddings": None, "d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 64},
        refused="when it is padded",
        types=True,
    ),
    Kind("xmod", "Xmod", {**_OFFSET, "languages": ["en_XX"], "default_language": "en_XX"}, refused="an adapter"),
]
