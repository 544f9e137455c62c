# collect.sieve - a collection account (spam@, ham@) keeps all its mail in its INBOX.
#
# Runs    at delivery, as the one active script of each collection account. Dovecot: by the
#         account's own `sieve` setting (docs/dovecot.md). Stalwart: as the account's active
#         script, uploaded by ManageSieve or JMAP (docs/stalwart.md).
# Needs   fileinto.
# Does    no sorting, no vacation, no reject: each report stays where learnspool looks for it,
#         and nobody gets mail from these accounts. `keep` would not be enough: on Stalwart it
#         files into Junk what its own filter classifies as spam, such as reports of spam.

require "fileinto";

fileinto "INBOX";
