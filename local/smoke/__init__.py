"""The smoke run: posts a known set of events and compares their ids at every hop, from the client to the vendor."""
