"""Classes of the reasons in a ledger; by themselves, since the command line names them before it reads a table."""

#: Classes of reasons. Gone: from the web, for everybody. Not for us: there, but not for this address or account.
#: Retry: the next run asks again. Unknown: an answer that no rule knows; asked again, too. Unusable: what was given
#: cannot be used.
GONE, NOT_FOR_US, RETRY, UNKNOWN, UNUSABLE = "gone", "not_for_us", "retry", "unknown", "unusable"
CLASSES = (GONE, NOT_FOR_US, RETRY, UNKNOWN, UNUSABLE)
