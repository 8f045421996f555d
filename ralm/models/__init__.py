"""The models that the experiment compares, all behind one interface (``ralm/models/model.py``)."""
