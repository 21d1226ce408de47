"""What model files say about their quantization, and what older ones said."""

import msgspec

from edgekit.model.manifest import Feeding, Manifest, Quantization, Recipe, StageFidelity

# As edgekit 0.1.0 writes it.
WRITTEN = b"""{
  "recipe": "static_wi8_ai8",
  "ranges": "percentile-99.99",
  "equalised": true,
  "rounding": "error-feedback",
  "bias_corrected": false,
  "calibration": "data-free",
  "images": 40,
  "calibration_sha256": "ab12",
  "seed": 7
}"""


def test_older_files_keep_their_quantization() -> None:
    assert msgspec.json.decode(WRITTEN, type=Quantization) == Quantization(
        ranges="percentile-99.99",
        equalized=True,
        rounding="error-feedback",
        bias_corrected=False,
        scheme="static_wi8_ai8",
        calibration="data-free",
        images=40,
        calibration_sha256="ab12",
        seed=7,
    )


def test_older_files_keep_their_fidelity() -> None:
    written = b"""{"stage": "onnx", "images": 32, "agreement": 1.0, "top5_agreement": 1.0,
        "kl": 0.001, "snr_db": 38.1, "top1": 0.9, "top1_interval": [0.8, 1.0], "top5": 1.0}"""
    stage = msgspec.json.decode(written, type=StageFidelity)
    assert (stage.snr_db, stage.top5) == (38.1, 1.0)
    assert (stage.score_change, stage.snr_interval_db, stage.top1_by_chance) == (None, None, None)
    assert msgspec.to_builtins(stage) == msgspec.json.decode(written) | {
        "top1_interval": (0.8, 1.0)
    }


def test_the_keys_stay() -> None:
    found = msgspec.json.decode(WRITTEN, type=Quantization)
    assert msgspec.to_builtins(found) == msgspec.json.decode(WRITTEN)


def test_it_is_a_recipe_that_was_used() -> None:
    found = msgspec.json.decode(WRITTEN, type=Quantization)
    assert isinstance(found, Recipe)
    assert str(found) == (
        "static_wi8_ai8, percentile-99.99 ranges from 40 distilled pictures (data-free), "
        "equalized, error-feedback rounding"
    )
    pictures = msgspec.structs.replace(found, calibration="pictures", bias_corrected=True)
    assert str(pictures) == (
        "static_wi8_ai8, percentile-99.99 ranges from 40 pictures, equalized, "
        "error-feedback rounding, bias corrected"
    )


def test_older_files_do_not_say_how_their_network_was_fed() -> None:
    assert {f.name: f.default for f in msgspec.structs.fields(Manifest)}["feeding"] is None


def test_how_a_network_was_fed_is_one_line() -> None:
    fits = Feeding("fits", "", pictures=64, divergence=0.00271, first_layer=0.01, allowed=0.0425)
    assert str(fits) == "fits (divergence 0.00271 on 64 pictures)"
    misfit = Feeding("misfit", "the network is not trained", misfit_allowed=True)
    assert str(misfit) == "misfit, misfit allowed: the network is not trained"
