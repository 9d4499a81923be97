"""One real clip of a vendor, as a transcript: what was asked and answered, held against documents and simulator.

The simulator, the conformance suite and the vendors' files are written from the same documents, and share their errors. A
transcript of a real purchase does not. It holds no key, no signed address and no id, and may be added to a repository.

``documents/`` holds the documented pairs, ``transcripts/`` what was certified.
"""
