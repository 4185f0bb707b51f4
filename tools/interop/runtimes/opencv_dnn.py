"""OpenCV's DNN module."""

import cv2


def version():
    return cv2.__version__


def run(model, feeds, outputs):
    net = cv2.dnn.readNetFromONNX(model)
    for name, values in feeds.items():
        net.setInput(values, name)
    return dict(zip(outputs, net.forward(outputs)))
