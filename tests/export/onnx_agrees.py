"""Whether other programs compute from an ONNX file what mcf computes: onnx_agrees.py FILE.onnx ANSWERS.safetensors.

onnxruntime with one image and with three; OpenCV's DNN likewise where OpenCV 4 is there. Tolerance: 1e-4 of the largest
value. Prints a line for each and exits with 1 where one is off.
"""
import struct, json, sys
import numpy as np
import onnxruntime

TOLERANCE = 1e-4


def read_safetensors(path):
    data = open(path, "rb").read()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + size])
    header.pop("__metadata__", None)
    return {name: np.frombuffer(data[8 + size + t["data_offsets"][0]:8 + size + t["data_offsets"][1]], np.float32)
            .reshape(t["shape"]) for name, t in header.items()}


def off(got, wanted):
    if got.shape != wanted.shape:
        return float("inf")
    return float(np.abs(got - wanted).max() / max(1.0, np.abs(wanted).max()))


def by_onnxruntime(path):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    return lambda image: dict(zip(names, session.run(names, {"image": image})))


def by_opencv(path, names):
    import cv2
    net = cv2.dnn.readNetFromONNX(path)

    def run(image):
        net.setInput(image, "image")
        return dict(zip(names, net.forward(names)))
    return run


def main():
    path, answers = sys.argv[1], read_safetensors(sys.argv[2])
    image = answers.pop("image")
    runners = {"onnxruntime " + onnxruntime.__version__: by_onnxruntime(path)}
    try:
        import cv2
        if cv2.__version__.startswith("4."):
            runners["OpenCV " + cv2.__version__] = by_opencv(path, sorted(answers))
    except ImportError:
        pass
    wrong = 0
    for name, run in runners.items():
        for count in (1, 3):
            got = run(np.ascontiguousarray(image[:count]))
            if sorted(got) != sorted(answers):
                print(f"{name}: outputs {sorted(got)}, wanted {sorted(answers)}")
                wrong += 1
                continue
            worst = max(off(got[k], answers[k][:count]) for k in answers)
            print(f"{name}, batch {count}: off by {worst:.1e}")
            wrong += not worst <= TOLERANCE
    sys.exit(1 if wrong else 0)


main()
