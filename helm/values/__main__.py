"""Writes what is made from the models: `python -m helm.values`, or `make chart`."""

from helm.values.schema import written

if __name__ == "__main__":
    for path, text in written().items():
        path.write_text(text)
