"""Model versions: what names them (`spec`), how they are loaded (`load`), and rounding (`round_weights`)."""

from muscle_core.models.spec import ModelSpec, adapter_fingerprint, base_fingerprint, check_paths

__all__ = ["ModelSpec", "adapter_fingerprint", "base_fingerprint", "check_paths"]
