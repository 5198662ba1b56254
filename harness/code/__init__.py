"""Where code lies, and which code it is: loading what is not installed, digests of source, the two identities."""
