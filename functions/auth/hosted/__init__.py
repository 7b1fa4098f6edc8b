"""The pages that a browser is shown, and the session it keeps."""
