"""Files of a network for other runtimes: LiteRT, ONNX, safetensors. docs/serving.md has what to feed each."""
