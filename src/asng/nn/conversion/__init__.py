"""From a trained model to a supernet: which of its sizes can be searched, and the proof that they can."""
