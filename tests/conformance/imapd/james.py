"""Apache James with everything in memory, from Maven; only its IMAP servers and its web
administration listen."""

from __future__ import annotations

import http.client
import json
import subprocess

import install
from backend import PASSWORD, Backend
from servers import HOST, ServerError

STORE_PASSWORD = "changeit"

IMAP = """\
	<imapserver enabled="true">
		<jmxName>{name}</jmxName>
		<bind>{host}:{port}</bind>
		<connectionBacklog>200</connectionBacklog>
		<tls socketTLS="{implicit}" startTLS="{starttls}">
			<keystore>file://{store}</keystore>
			<keystoreType>PKCS12</keystoreType>
			<secret>{secret}</secret>
			<provider>org.bouncycastle.jce.provider.BouncyCastleProvider</provider>
		</tls>
		<auth>
			<plainAuthEnabled>true</plainAuthEnabled>
			<requireSSL>true</requireSSL>
		</auth>
	</imapserver>
"""

MAILETS = """\
<mailetcontainer>
	<context><postmaster>postmaster@localhost</postmaster></context>
	<spooler><threads>1</threads>
		<errorRepository>memory://var/mail/error/</errorRepository></spooler>
	<processors>
		<processor state="root" enableJmx="false">
			<mailet match="All" class="Null"/>
		</processor>
		<processor state="error" enableJmx="false">
			<mailet match="All" class="Null"/>
		</processor>
		<processor state="transport" enableJmx="false">
			<mailet match="All" class="RemoveMimeHeader"><name>bcc</name></mailet>
			<mailet match="All" class="LocalDelivery"/>
		</processor>
	</processors>
</mailetcontainer>
"""

FILES = {
    "domainlist.xml": "<domainlist><autodetect>false</autodetect><autodetectIP>false"
                      "</autodetectIP><defaultDomain>localhost</defaultDomain></domainlist>",
    "usersrepository.xml": '<usersrepository name="LocalUsers"><algorithm>PBKDF2-SHA512-1'
                           "</algorithm><enableVirtualHosting>true</enableVirtualHosting>"
                           "</usersrepository>",
    "dnsservice.xml": f"<dnsservice><servers><server>{HOST}</server></servers>"
                      "<autodiscover>false</autodiscover></dnsservice>",
    "mailetcontainer.xml": MAILETS,
    "mailrepositorystore.xml": "<mailrepositorystore><defaultProtocol>memory</defaultProtocol>"
                               "<mailrepositories><mailrepository class=\"org.apache.james."
                               "mailrepository.memory.MemoryMailRepository\"><protocols><protocol>"
                               "memory</protocol></protocols></mailrepository></mailrepositories>"
                               "</mailrepositorystore>",
    "smtpserver.xml": '<smtpservers/>',
    "lmtpserver.xml": '<lmtpservers/>',
    "pop3server.xml": '<pop3servers/>',
    "managesieveserver.xml": '<managesieveservers/>',
    "listeners.xml": "<listeners/>",
    "jmap.properties": "enabled=false\n",
    "jmx.properties": "jmx.enabled=false\n",
    "extensions.properties": "",
}


class James(Backend):
    name = "james"
    title = "James"
    version = "3.8.1"
    source = "Maven"
    domain = "@localhost"
    ports = ("port", "starttls_port", "web_port")
    web_port = 0
    no_quota = ""

    @classmethod
    def install(cls) -> None:
        cls.jars = install.maven("org.apache.james", "james-server-memory-app", cls.version)

    def configure(self) -> list[str]:
        conf = self.folder / "conf"
        conf.mkdir(parents=True, exist_ok=True)
        (self.folder / "var").mkdir(exist_ok=True)
        store = self.folder / "james.p12"
        subprocess.run(["openssl", "pkcs12", "-export", "-in", self.tls.cert, "-inkey",
                        self.tls.key, "-out", store, "-name", "james", "-passout",
                        f"pass:{STORE_PASSWORD}"], check=True, capture_output=True)
        servers = "".join(IMAP.format(
            name=name, host=HOST, port=port, store=store, secret=STORE_PASSWORD,
            implicit=str(implicit).lower(), starttls=str(not implicit).lower())
            for name, port, implicit in (("imaps", self.port, True),
                                         ("imap", self.starttls_port, False)))
        files = FILES | {
            "imapserver.xml": f"<imapservers>\n{servers}</imapservers>\n",
            "webadmin.properties": f"enabled=true\nport={self.web_port}\nhost={HOST}\n"}
        for name, text in files.items():
            (conf / name).write_text(text)
        return ["java", "-Xmx768m", f"-Dworking.directory={self.folder}",
                "-Dlogback.statusListenerClass=ch.qos.logback.core.status.NopStatusListener",
                "-cp", f"{self.jars}/*", "org.apache.james.MemoryJamesServerMain"]

    def ready(self) -> bool:
        if not super().ready():
            return False
        self._web("PUT", "/domains/localhost")
        return True

    def _web(self, verb: str, path: str, body: object = None) -> None:
        link = http.client.HTTPConnection(HOST, self.web_port, timeout=30)
        link.request(verb, path, None if body is None else json.dumps(body))
        answer = link.getresponse()
        text = answer.read().decode()
        link.close()
        if answer.status not in (200, 201, 204):
            raise ServerError(f"james: {verb} {path}: {answer.status} {text}")

    def add_user(self, user: str) -> None:
        self._web("PUT", f"/users/{user}", {"password": PASSWORD})

    def set_quota(self, user: str, kibibytes: int | None) -> None:
        size = -1 if kibibytes is None else kibibytes * 1024
        self._web("PUT", f"/quota/users/{user}/size", size)
