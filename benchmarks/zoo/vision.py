"""Networks of images and sound: of transformers, detectors among them, MONAI and vit-pytorch."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

import torch
from monai.networks.nets import DenseNet, SegResNet, UNet
from torch import nn
from transformers import (
    ConvNextConfig,
    ConvNextForImageClassification,
    DetrConfig,
    DetrForObjectDetection,
    ResNetConfig,
    ResNetForImageClassification,
    SegformerConfig,
    SegformerForSemanticSegmentation,
    ViTConfig,
    ViTForImageClassification,
    Wav2Vec2Config,
    Wav2Vec2ForSequenceClassification,
    YolosConfig,
    YolosForObjectDetection,
)

import asng
from asng import nn as snn
from benchmarks.zoo.entry import Entry, pair_loss

__all__ = ["ENTRIES"]


def module_of(name: str) -> Any:
    """Load a file of vit-pytorch by itself: the package imports torchvision, which none of these needs."""
    found = importlib.util.find_spec("vit_pytorch")
    path = Path(str(found.origin)).parent / f"{name}.py"  # type: ignore[union-attr]
    spec = importlib.util.spec_from_file_location(f"zoo_{name}", path)
    module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    sys.modules[module.__name__] = module
    spec.loader.exec_module(module)  # type: ignore[union-attr]
    return module


# --- batches -------------------------------------------------------------------------------------------


def pictures(n: int) -> dict[str, Any]:
    """Return pictures of two classes."""
    return {"pixel_values": torch.randn(n, 3, 32, 32), "labels": torch.arange(n) % 2}


def scenes(n: int) -> dict[str, Any]:
    """Return pictures with a class for each pixel."""
    return {"pixel_values": torch.randn(n, 3, 64, 64), "labels": torch.randint(0, 2, (n, 64, 64))}


def sounds(n: int) -> dict[str, Any]:
    """Return sounds of two classes."""
    return {"input_values": torch.randn(n, 400), "labels": torch.arange(n) % 2}


def boxes(n: int) -> dict[str, Any]:
    """Return pictures with two boxes each."""
    one = {"class_labels": torch.tensor([0, 1]), "boxes": torch.rand(2, 4) * 0.5 + 0.2}
    return {"pixel_values": torch.randn(n, 3, 32, 32), "labels": [dict(one) for _ in range(n)]}


def scans(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return scans with two numbers for each pixel."""
    return torch.randn(n, 1, 32, 32), torch.randn(n, 2, 32, 32)


def classified_scans(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return scans with two numbers each."""
    return torch.randn(n, 1, 64, 64), torch.randn(n, 2)


def colours(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return pictures with three numbers each."""
    return torch.randn(n, 3, 32, 32), torch.randn(n, 3)


def first(batch: Any) -> Any:
    """Return the inputs of a network in such a batch."""
    return batch[:1]


def ffn() -> Any:
    """Return the variable: one width of all feed-forward parts."""
    return asng.Integer(16, 64, label="ffn", step=8)


def intermediate(config: Any, architecture: Any) -> None:
    """Write this width into a config."""
    config.intermediate_size = architecture["ffn"]


# --- transformers --------------------------------------------------------------------------------------

SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
}


def search_vit(model: Any) -> None:
    """Make ViT searchable."""
    for layer in model.vit.layers:
        layer.mlp.fc1, layer.mlp.fc2 = snn.Linear(32, ffn()), snn.Linear(64, 32)


def search_yolos(model: Any) -> None:
    """Make YOLOS searchable."""
    for layer in model.vit.encoder.layer:
        layer.intermediate.dense = snn.Linear(32, ffn())
        layer.output.dense = snn.Linear(64, 32)


def search_convnext(model: Any) -> None:
    """Search in ConvNeXt the inner width of each block."""
    for number, stage in enumerate(model.convnext.encoder.stages):
        for layer in stage.layers:
            wide = layer.pwconv1.out_features
            layer.pwconv1 = snn.Linear(wide // 4, asng.Integer(8, wide, label=f"inner{number}"))
            layer.pwconv2 = snn.Linear(wide, wide // 4)


def search_segformer(model: Any) -> None:
    """Search in SegFormer the width of its decoder."""
    head, width = model.decode_head, asng.Integer(4, 16, label="decoder")
    for part in head.linear_projections:
        part.proj = snn.Linear(part.proj.in_features, width)
    head.linear_fuse = snn.Conv2d(32, width, 1, bias=False)
    head.batch_norm = snn.BatchNorm2d(16)
    head.classifier = snn.Conv2d(16, 2, 1)


def write_segformer(config: Any, architecture: Any) -> None:
    """Write an architecture into SegFormer's config."""
    config.decoder_hidden_size = architecture["decoder"]


def search_resnet(model: Any) -> None:
    """Search in ResNet the kernel in the middle of each bottleneck, and the width there."""
    for number, stage in enumerate(model.resnet.encoder.stages):
        for block in stage.layers:
            into, middle, out = (layer.convolution for layer in block.layer[0:3])
            width = asng.Integer(1, middle.in_channels, label=f"width{number}")
            block.layer[0].convolution = snn.Conv2d(into.in_channels, width, 1, into.stride, bias=False)
            block.layer[1].convolution = snn.Conv2d(width, width, 3, middle.stride, padding=1, bias=False)
            block.layer[2].convolution = snn.Conv2d(width, out.out_channels, 1, bias=False)
            for part in block.layer[0:2]:
                part.normalization = snn.BatchNorm2d(middle.in_channels)


def search_wav2vec2(model: Any) -> None:
    """Make wav2vec 2.0 searchable, which also has a convolution with weight norm."""
    for layer in model.wav2vec2.encoder.layers:
        layer.feed_forward.intermediate_dense = snn.Linear(32, ffn())
        layer.feed_forward.output_dense = snn.Linear(64, 32)


def search_detr(model: Any) -> None:
    """Make DETR searchable, with separate widths for encoder and decoder."""
    for name in ("encoder", "decoder"):
        for layer in getattr(model.model, name).layers:
            layer.mlp.fc1 = snn.Linear(32, asng.Integer(16, 64, label=name, step=8))
            layer.mlp.fc2 = snn.Linear(64, 32)


def write_detr(config: Any, architecture: Any) -> None:
    """Write an architecture into DETR's config."""
    config.encoder_ffn_dim, config.decoder_ffn_dim = architecture["encoder"], architecture["decoder"]


def resnet_config(**more: Any) -> Any:
    """Return the config of a tiny backbone."""
    return ResNetConfig(embedding_size=8, hidden_sizes=[16, 32], depths=[1, 1], **more)


def detr() -> Any:
    """Return a DETR over a ResNet of transformers."""
    sides = {"encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "encoder_layers": 1, "decoder_layers": 1}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
    backbone = {"backbone_config": resnet_config(out_features=["stage2"]), "use_timm_backbone": False}
    backbone |= {"backbone": None, "use_pretrained_backbone": False}
    return DetrForObjectDetection(
        DetrConfig(d_model=32, num_queries=5, num_labels=2, **sides, **heads, **backbone)
    )


def wav2vec2() -> Any:
    """Return a wav2vec 2.0."""
    convolutions = {"conv_dim": (16, 16), "conv_stride": (5, 2), "conv_kernel": (10, 3)}
    places = {"num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2}
    kept = {"num_feat_extract_layers": 2, "mask_time_prob": 0.0, "layerdrop": 0.0}
    return Wav2Vec2ForSequenceClassification(Wav2Vec2Config(**SMALL, **convolutions, **places, **kept))


def segformer() -> Any:
    """Return a SegFormer."""
    shapes = {"hidden_sizes": [8, 16], "patch_sizes": [7, 3], "strides": [4, 2], "sr_ratios": [4, 2]}
    depths = {"num_encoder_blocks": 2, "depths": [1, 1], "num_attention_heads": [1, 2], "mlp_ratios": [2, 2]}
    return SegformerForSemanticSegmentation(SegformerConfig(decoder_hidden_size=16, **shapes, **depths))


# --- MONAI, vit-pytorch --------------------------------------------------------------------------------


def search_unet(model: Any) -> None:
    """Search in MONAI's UNet the kernel of the bottom, and its activation."""
    bottom = model.model[1].submodule
    bottom.conv = snn.Conv2d(4, 8, asng.Categorical([1, 3, 5], label="kernel"), padding="same")
    bottom.adn.A = snn.Activation(["PReLU", "ReLU", "SiLU"], label="activation")


def search_densenet(model: Any) -> None:
    """Search in MONAI's DenseNet the width of the bottleneck in each layer."""
    for path, layer in list(model.named_modules()):
        if path.endswith("layers") and hasattr(layer, "conv1"):
            label = path.split(".")[1]
            width = asng.Integer(4, 16, label=label)
            layer.conv1 = snn.Conv2d(layer.conv1.in_channels, width, 1, bias=False)
            layer.norm2 = snn.BatchNorm2d(16)
            layer.conv2 = snn.Conv2d(16, 4, 3, padding=1, bias=False)


def search_segresnet(model: Any) -> None:
    """Search in MONAI's SegResNet the kernels of its blocks."""
    for number, part in enumerate((model.down_layers[0][1], model.down_layers[1][1])):
        for side in (part.conv1, part.conv2):
            kernel = asng.Categorical([1, 3, 5], label=f"kernel{number}")
            wide = side.conv.in_channels
            side.conv = snn.Conv2d(wide, wide, kernel, padding="same", bias=False)


def search_vit_pytorch(model: Any) -> None:
    """Make ViT or SimpleViT of vit-pytorch searchable."""
    for _, part in model.transformer.layers:
        last = max(number for number, layer in enumerate(part.net) if isinstance(layer, nn.Linear))
        part.net[1], part.net[last] = snn.Linear(32, ffn()), snn.Linear(64, 32)


def vit_pytorch(file: str, name: str) -> Any:
    """Return a ViT or SimpleViT of vit-pytorch."""
    made = getattr(module_of(file), name)
    return made(image_size=32, patch_size=8, num_classes=3, dim=32, depth=2, heads=2, mlp_dim=64)


NO_CONFIG = "it has no config, and no save_pretrained"
INSIDE = "the config has no number for it"
PAIR: dict[str, Any] = {"loss": pair_loss, "inputs": first, "reason": NO_CONFIG}

ENTRIES = [
    Entry(
        "ViT",
        "transformers",
        lambda: ViTForImageClassification(ViTConfig(**SMALL, image_size=32, patch_size=8)),
        search_vit,
        pictures,
        write=intermediate,
    ),
    Entry(
        "ConvNeXt",
        "transformers",
        lambda: ConvNextForImageClassification(
            ConvNextConfig(hidden_sizes=[8, 16], depths=[1, 1], num_stages=2, patch_size=4)
        ),
        search_convnext,
        pictures,
        reason=INSIDE,
    ),
    Entry("SegFormer", "transformers", segformer, search_segformer, scenes, write=write_segformer),
    Entry(
        "ResNet",
        "transformers",
        lambda: ResNetForImageClassification(resnet_config()),
        search_resnet,
        pictures,
        reason=INSIDE,
    ),
    Entry("wav2vec 2.0", "transformers", wav2vec2, search_wav2vec2, sounds, write=intermediate),
    Entry(
        "YOLOS",
        "detectors",
        lambda: YolosForObjectDetection(
            YolosConfig(**SMALL, image_size=[32, 32], patch_size=8, num_detection_tokens=5, num_labels=2)
        ),
        search_yolos,
        boxes,
        write=intermediate,
    ),
    Entry("DETR", "detectors", detr, search_detr, boxes, write=write_detr),
    Entry(
        "UNet",
        "MONAI",
        lambda: UNet(spatial_dims=2, in_channels=1, out_channels=2, channels=(4, 8), strides=(2,)),
        search_unet,
        scans,
        **PAIR,
    ),
    Entry(
        "DenseNet",
        "MONAI",
        lambda: DenseNet(
            spatial_dims=2,
            in_channels=1,
            out_channels=2,
            init_features=8,
            growth_rate=4,
            block_config=(1, 1),
        ),
        search_densenet,
        classified_scans,
        **PAIR,
    ),
    Entry(
        "SegResNet",
        "MONAI",
        lambda: SegResNet(2, init_filters=8, out_channels=2, blocks_down=(1, 1), blocks_up=(1,)),
        search_segresnet,
        scans,
        **PAIR,
    ),
    Entry("ViT", "vit-pytorch", lambda: vit_pytorch("vit", "ViT"), search_vit_pytorch, colours, **PAIR),
    Entry(
        "SimpleViT",
        "vit-pytorch",
        lambda: vit_pytorch("simple_vit", "SimpleViT"),
        search_vit_pytorch,
        colours,
        **PAIR,
    ),
]
