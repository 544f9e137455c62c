# file-junk.sieve - files mail that rspamd marked as spam into the user's Junk folder.
#
# Runs    at delivery. Made for Stalwart with rspamd as a milter, as a user's active script or
#         included in it (docs/stalwart.md); in Dovecot it can be a sieve_before script.
# Needs   fileinto, mailbox, variables, and special-use (RFC 8579), so that a renamed Junk folder
#         is found.
# Does    trust these fields: a sender who forges them only gets into Junk. rspamd's milter adds
#         "X-Spam: Yes" for its action "add header"; the other two come from its milter_headers
#         module if an administrator has enabled them.

require ["fileinto", "mailbox", "special-use", "variables"];

# The setting: the folder to use if none has the special use \Junk. In Dovecot it is usually "Junk".
set "junk" "Junk Mail";

if anyof (header :is "X-Spam" "Yes",
          header :matches "X-Spam-Flag" "Yes*",
          header :matches "X-Spam-Status" "Yes*") {
	fileinto :create :specialuse "\\Junk" "${junk}";
}
