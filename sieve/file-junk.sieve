# file-junk.sieve - what rspamd marked as spam goes to the user's Junk folder.
#
# Runs    at delivery. Made for Stalwart with rspamd as a milter, as a user's active script or
#         included in it (docs/stalwart.md); in Dovecot as a sieve_before script (docs/dovecot.md).
# Needs   fileinto, mailbox, variables, and special-use (RFC 8579), so that a renamed Junk folder
#         is found.
# Does    trust these fields: a sender who forges them only gets into Junk. rspamd's milter adds
#         "X-Spam: Yes" for its action "add header"; the other two come from its milter_headers
#         module where an administrator turned them on.

require ["fileinto", "mailbox", "special-use", "variables"];

# The setting: the folder where nothing has the special use \Junk. Dovecot's is usually "Junk".
set "junk" "Junk Mail";

if anyof (header :is "X-Spam" "Yes",
          header :matches "X-Spam-Flag" "Yes*",
          header :matches "X-Spam-Status" "Yes*") {
	fileinto :create :specialuse "\\Junk" "${junk}";
}
