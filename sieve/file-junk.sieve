# file-junk.sieve - what rspamd marked as spam goes to the user's Junk folder.
#
# Runs    at delivery, as a user's active script or included in it. Made for Stalwart with rspamd
#         as a milter (docs/stalwart.md), and just as good in Dovecot's LMTP.
# Needs   fileinto, ihave, mailbox, variables; special-use (RFC 8579) where the server has it, so
#         that a renamed Junk folder is found.
# Does    trust these fields: a sender who forges them only gets into Junk. rspamd's milter adds
#         "X-Spam: Yes" for its action "add header"; the other two come from its milter_headers
#         module where an administrator turned them on.

require ["fileinto", "ihave", "mailbox", "variables"];

# The settings. In Dovecot the folder is usually "Junk".
set "junk" "Junk Mail";

if anyof (header :is "X-Spam" "Yes",
          header :matches "X-Spam-Flag" "Yes*",
          header :matches "X-Spam-Status" "Yes*") {
	if ihave "special-use" {
		fileinto :create :specialuse "\\Junk" "${junk}";
	} else {
		fileinto :create "${junk}";
	}
}
