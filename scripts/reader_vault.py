"""How scripts/reader opens a vault and gets at its chunks: §1 to §7 of docs/format.md, and nothing that it does not say.

Whatever is read is checked before it is believed: lengths before they are used, digests, signatures and rights before
the content counts, the id of each chunk after it is opened. What fails any of that raises `Damage`.
"""

import hashlib
import hmac
import json
import mmap
import os
import re
import stat
import struct
from collections import OrderedDict, namedtuple

import blake3
import zstandard
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes, hpke
from cryptography.hazmat.primitives.asymmetric import ed25519, mlkem, x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

MIB = 1 << 20
LARGEST_RECORD = 16 * MIB + (256 << 10) + 4096
ZERO = bytes(32)
KNOWN_FEATURES: "set[str]" = set()  # names in `incompatible` that this program understands


class Failure(Exception):
    def __init__(self, message, status=1):
        super().__init__(message)
        self.status = status


class Damage(Failure):
    def __init__(self, message):
        super().__init__(message, 13)


class WrongKey(Failure):
    def __init__(self, message):
        super().__init__(message, 12)


def require(condition, complaint):
    if not condition:
        raise Damage(complaint)


# ---------------------------------------------------------------------------------------------- §1 conventions


class Decoder:
    """Takes fields off bytes in order; whatever does not fit is damage."""

    def __init__(self, data, what):
        self.data, self.at, self.what = data, 0, what

    def fail(self, why):
        raise Damage(f"{self.what}: {why} at byte {self.at}")

    def take(self, count):
        if count > len(self.data) - self.at:
            self.fail("it ends too early")
        self.at += count
        return bytes(self.data[self.at - count : self.at])

    def u8(self):
        return self.take(1)[0]

    def u32(self):
        return struct.unpack("<I", self.take(4))[0]

    def u64(self):
        return struct.unpack("<Q", self.take(8))[0]

    def varint(self, limit=2**64 - 1):
        value = shift = 0
        while True:
            byte = self.u8()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
            if shift > 63:
                self.fail("a number is too long")
        if (byte == 0 and shift > 0) or value >= 2**64:
            self.fail("a number is not in its shortest form")
        if value > limit:
            self.fail(f"{value} is above the limit of {limit}")
        return value

    def zigzag(self):
        value = self.varint()
        return (value >> 1) ^ -(value & 1)

    def blob(self, limit):
        return self.take(self.varint(limit))

    def text(self, limit):
        try:
            return self.blob(limit).decode("utf-8")
        except UnicodeDecodeError:
            self.fail("text is not UTF-8")

    def list(self, limit, item):
        return [item() for _ in range(self.varint(min(limit, len(self.data) - self.at)))]

    def expect(self, expected, name):
        if self.take(len(expected)) != expected:
            self.fail(f"{name} is not what it must be")

    def end(self):
        if self.at != len(self.data):
            self.fail("bytes follow the end")


def varint(value):
    out = b""
    while value >= 0x80:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


def u32(value):
    return struct.pack("<I", value)


def hkdf(key, salt, info, count=32):
    return HKDF(algorithm=hashes.SHA256(), length=count, salt=salt, info=info).derive(key)


def gcm_open(key, sealed, aad, what, error=Damage):
    try:
        return AESGCM(key).decrypt(bytes(12), bytes(sealed), aad)
    except InvalidTag:
        raise error(f"{what}: it does not open") from None


class Suite:
    """The digest and the keyed digest of a vault."""

    def __init__(self, name):
        require(name in ("blake3", "hmac-sha256"), f"vault.json: unknown suite {name!r}")
        self.is_blake3 = name == "blake3"

    def digest(self, data):
        return blake3.blake3(data).digest() if self.is_blake3 else hashlib.sha256(data).digest()

    def keyed(self, key, data):
        return blake3.blake3(data, key=key).digest() if self.is_blake3 else hmac.new(key, data, hashlib.sha256).digest()


HPKE = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)


def raw(public_key):
    return public_key.public_bytes(Encoding.Raw, PublicFormat.Raw)


class ReadingKey:
    """An X-Wing key pair, from its seed."""

    def __init__(self, seed):
        expanded = hashlib.shake_256(seed).digest(96)
        lattice = mlkem.MLKEM768PrivateKey.from_seed_bytes(expanded[:64])
        curve = x25519.X25519PrivateKey.from_private_bytes(expanded[64:])
        self.private = hpke.MLKEM768X25519PrivateKey(lattice, curve)
        self.public = raw(lattice.public_key()) + raw(curve.public_key())

    def open(self, sealed, info, what):
        try:
            return HPKE.decrypt(sealed, self.private, info)
        except Exception:
            raise Damage(f"{what}: it does not open") from None


class Store:
    """The objects of a vault in a directory. A link is never followed below it."""

    def __init__(self, top):
        self.top = top

    def open(self, name, limit, length):
        """A descriptor of a plain file of at most `limit` bytes, of `length` when that is known."""
        try:
            descriptor = os.open(os.path.join(self.top, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError as error:
            raise Damage(f"{name}: {error.strerror}") from None
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > limit or length not in (None, status.st_size):
            os.close(descriptor)
            raise Damage(f"{name}: its length is {status.st_size}")
        return descriptor

    def read(self, name, limit, length=None):
        with os.fdopen(self.open(name, limit, length), "rb") as file:
            data = file.read(limit + 1)
        require(len(data) <= limit and length in (None, len(data)), f"{name}: its length is {len(data)}")
        return data

    def map(self, name, limit, length):
        descriptor = self.open(name, limit, length)
        try:
            return mmap.mmap(descriptor, length, prot=mmap.PROT_READ)
        except (OSError, ValueError) as error:
            raise Damage(f"{name}: {error}") from None
        finally:
            os.close(descriptor)


# --------------------------------------------------------------------------------------------------- §3 keys

Reader = namedtuple("Reader", "kind administrator label created public admin id slot")
Writer = namedtuple("Writer", "domain state label")


class KeySet:
    def __init__(self, data, suite):
        d = Decoder(data, "key set")
        d.expect(b"QALAKEYS\x01", "its beginning")
        self.generation, self.suite = d.u64(), suite
        self.readers = d.list(64, lambda: self.reader(d))
        self.domains = {}  # (domain id, generation) → (public key, {reader id: wrap})
        for key, value in d.list(4096, lambda: self.domain(d)):
            require(key not in self.domains, "key set: a domain stands twice")
            self.domains[key] = value
        self.writers = {}
        for key, value in d.list(4096, lambda: self.writer(d)):
            require(key not in self.writers, "key set: a writer stands twice")
            self.writers[key] = value
        d.end()
        require(len({r.id for r in self.readers}) == len(self.readers), "key set: a reader stands twice")

    def reader(self, d):
        kind, administrator, label = d.u8(), d.u8(), d.text(256)
        created, public, admin = d.u64(), d.take(1216), d.take(32)
        require(kind in (1, 2, 3) and administrator in (0, 1), "key set: a reader of an unknown kind")
        slot = None
        if kind == 1:
            slot = (d.u8(), d.u8(), d.u8(), d.take(32), d.take(48))
            log_n, r, p = slot[:3]
            require(1 <= log_n < 32 and r >= 1 and 1 <= p <= 4, "key set: scrypt parameters out of range")
            require(128 * r << log_n <= 256 * MIB, "key set: scrypt parameters out of range")
        identity = self.suite.digest(b"qala/v1/reader-id" + public)
        return Reader(kind, administrator, label, created, public, admin, identity, slot)

    def domain(self, d):
        key, public = (d.take(32), d.u32()), d.take(1216)
        wraps = d.list(64, lambda: (d.take(32), d.take(1200)))
        require(len(dict(wraps)) == len(wraps), "key set: a wrap stands twice")
        return key, (public, dict(wraps))

    def writer(self, d):
        key, value = d.take(32), (d.take(32), d.u8(), d.text(256))
        require(value[1] in (1, 2), "key set: a writer of an unknown state")
        return key, Writer(*value)


def secret_of_code(text, vault_id):
    """The secret in a recovery kit or key file: the first QALA1 code whose check fits this vault."""
    digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    for found in re.finditer(r"QALA1[-\s]*((?:[0-9A-Z][-\s]*){60})", text.upper()):
        value = 0
        for letter in re.sub(r"[-\s]", "", found.group(1)).translate(str.maketrans("ILO", "110")):
            if letter not in digits:
                break
            value = value << 5 | digits.index(letter)
        else:
            secret, check = (value >> 44).to_bytes(32, "big"), (value >> 4 & (1 << 40) - 1).to_bytes(5, "big")
            wanted = hashlib.sha256(b"qala/v1/kit" + vault_id[:8] + secret).digest()[:5]
            if check == wanted and value & 15 == 0:
                return secret
    raise WrongKey("the code file holds no code of this vault, or a mistyped one")


def secret_of_passphrase(passphrase, key_set, vault_id):
    for reader in key_set.readers:
        if reader.slot:
            log_n, r, p, salt, wrapped = reader.slot
            key = hashlib.scrypt(passphrase, salt=salt, n=1 << log_n, r=r, p=p, dklen=32, maxmem=300 * MIB)
            try:
                return gcm_open(key, wrapped, b"qala/v1/slot" + vault_id + reader.public + reader.admin, "slot", WrongKey)
            except WrongKey:
                continue
    raise WrongKey("the passphrase opens no slot of this vault")


# --------------------------------------------------------------------------------------------------- §4 the log


class Session:
    def __init__(self, *opening):
        self.writer, self.domain, self.generation, self.keyring, self.commitment = opening
        self.state, self.checkpoints = "open", 0


Archive = namedtuple("Archive", "id session time manifest root level entries bytes header")


class Log:
    """Walks and checks the whole log. The first record that fails is damage, never the end."""

    def __init__(self, store, vault_id, root, suite):
        self.store, self.vault_id, self.root, self.suite = store, vault_id, root, suite
        self.sessions, self.archives, self.named, self.keys, self.digests = {}, [], [], None, []
        self.committed, self.holds, self.condemned, self.deleted = [], {}, {}, set()
        numbers = sorted(int(name) for name in os.listdir(os.path.join(store.top, "log")) if re.fullmatch(r"\d{20}", name))
        require(numbers, "the log is empty")
        for expected, number in enumerate(numbers):
            require(expected == number, f"log: record {expected} is missing, but {number} is there")
            self.record(number)
        # What the checkpoints of an aborted or fenced session name does not count.
        counts = [n for n in self.named if n[2] == ZERO or self.sessions[n[2]].state not in ("aborted", "fenced")]
        self.manifests = [self.manifest(*n) for n in counts]

    def record(self, number):
        what = f"log record {number}"
        data = self.store.read(f"log/{number:020}", 64 << 10)
        require(len(data) > 64, f"{what}: it is too short")
        d = Decoder(data[:-64], what)
        d.expect(b"QLOG\x01", "its beginning")
        kind = d.u8()
        require(d.u64() == number, f"{what}: it says another number")
        d.expect(self.digests[-1] if self.digests else self.vault_id, "the digest of the record before")
        signer, time = d.take(32), d.u64()
        require(d.u32() == len(d.data) - d.at, f"{what}: its length is wrong")
        try:
            key = ed25519.Ed25519PublicKey.from_public_bytes(signer)
            key.verify(data[-64:], b"qala/v1/log" + self.vault_id + data[:-64])
        except (InvalidSignature, ValueError):
            raise Damage(f"{what}: its signature is wrong") from None
        self.what = what
        if kind == 1:
            self.key(d, signer)
        else:
            require(self.keys is not None, f"{what}: the first record must be a key record")
        if kind in (6, 7, 8, 10, 11, 12):
            require(self.administers(signer), f"{what}: its signer is no administrator")
            {6: self.fence, 7: self.condemn, 8: self.delete, 10: self.dispose, 11: self.hold, 12: self.release}[kind](d, signer)
        elif kind != 1:
            writer = self.keys.writers.get(signer)
            require(writer and writer.state == 1, f"{what}: its signer may not write it")
            if kind == 2:
                self.open(d, signer, writer)
            else:
                self.follow(kind, d, signer, time)
        d.end()
        self.digests.append(self.suite.digest(data))

    def key(self, d, signer):
        if self.keys is None:
            allowed, generation = signer == self.root, 1
        else:
            allowed = self.administers(signer)
            generation = self.keys.generation + 1
        require(allowed, f"{self.what}: its signer may not change keys")
        keys = KeySet(self.object("keys", d.take(32), d.u64(), 16 * MIB), self.suite)
        require(keys.generation == generation, f"{self.what}: the key set is of generation {keys.generation}")
        self.keys = keys

    def open(self, d, signer, writer):
        identity, domain, generation = d.take(32), d.take(32), d.u32()
        keyring, commitment, resumes = (d.take(32), d.u64()), d.take(32), d.take(32)
        require(identity not in self.sessions and identity != ZERO, f"{self.what}: its session is not new")
        require(domain == writer.domain, f"{self.what}: the writer has another domain")
        require((domain, generation) in self.keys.domains, f"{self.what}: an unknown domain key")
        require(resumes == ZERO or resumes in self.sessions, f"{self.what}: it resumes an unknown session")
        self.sessions[identity] = Session(signer, domain, generation, keyring, commitment)
        number = len(self.digests)
        self.sessions[identity].age = min(number, self.sessions[resumes].age) if resumes in self.sessions else number

    def follow(self, kind, d, signer, time):
        require(kind in (3, 4, 5), f"{self.what}: kind {kind} is not known to this program")
        identity = d.take(32)
        session = self.sessions.get(identity)
        require(session, f"{self.what}: an unknown session")
        require(session.writer == signer, f"{self.what}: its signer did not open the session")
        require(session.state == "open", f"{self.what}: the session has ended")
        if kind == 5:
            session.state = "aborted"
            return
        if kind == 3:
            session.checkpoints += 1
            require(d.u32() == session.checkpoints, f"{self.what}: a checkpoint is missing")
        named = d.take(32), d.u64(), identity
        self.named.append(named)
        if kind == 4:
            session.state = "committed"
            fields = d.take(32), d.u8(), d.u64(), d.u64(), d.blob(32 << 10)
            self.archives.append(Archive(identity, session, time, self.manifest(*named), *fields))
            self.committed.append(self.archives[-1])

    # Disposal and sweep, by administrators.

    def administers(self, key):
        return any(r.administrator and r.admin == key for r in self.keys.readers)

    def ids(self, d, least):
        found = d.list(1000, lambda: d.take(32))
        require(len(found) >= least and len(set(found)) == len(found), f"{self.what}: its list is not one")
        return found

    def approved(self, d, signer, kind, subjects, note):
        requester, signature = d.take(32), d.take(64)
        require(requester != signer and self.administers(requester), f"{self.what}: one administrator where two are needed")
        message = b"qala/v1/act" + self.vault_id + bytes([kind]) + varint(len(subjects)) + b"".join(subjects) + note
        try:
            ed25519.Ed25519PublicKey.from_public_bytes(requester).verify(signature, message)
        except (InvalidSignature, ValueError):
            raise Damage(f"{self.what}: the second administrator did not ask for it") from None

    def note(self, d):
        digest, length = d.take(32), d.u64()
        self.object("notes", digest, length, 192 << 10)
        return digest + struct.pack("<Q", length)

    def fence(self, d, signer):
        for identity in self.ids(d, 1):
            session = self.sessions.get(identity)
            require(session and session.state == "open", f"{self.what}: it fences what does not run")
            session.state = "fenced"

    def sweep_list(self, d, domain):
        digest, length = d.take(32), d.u64()
        e = Decoder(self.object("sweeps", digest, length, 128 * MIB), f"sweeps/{digest.hex()}")
        e.expect(b"QALASWEP\x01" + domain, "its beginning")
        names = set()
        for folder in ("packs", "refs", "index"):
            found = e.list(1 << 20, lambda: e.take(32))
            require(found == sorted(set(found)), f"sweeps/{digest.hex()}: it is not in order")
            names |= {(folder, identity) for identity in found}
        e.end()
        return names

    def condemn(self, d, signer):
        domain = d.take(32)
        require(any(known == domain for known, _ in self.keys.domains), f"{self.what}: an unknown domain")
        self.condemned[len(self.digests)] = domain, self.sweep_list(d, domain)

    def delete(self, d, signer):
        number = d.u64()
        require(number in self.condemned, f"{self.what}: it closes no condemn record")
        domain, condemned = self.condemned.pop(number)
        for session in self.sessions.values():
            runs = session.domain == domain and session.state == "open" and session.age < number
            require(not runs, f"{self.what}: it deletes while an older session runs")
        gone = self.sweep_list(d, domain)
        require(gone <= condemned, f"{self.what}: it deletes what was not condemned")
        self.deleted |= gone
        self.named.append((d.take(32), d.u64(), ZERO))

    def dispose(self, d, signer):
        archives, note, basis = self.ids(d, 1), self.note(d), d.u8()
        known = {archive.id for archive in self.archives}
        require(known.issuperset(archives), f"{self.what}: it disposes of what is no archive")
        held = any(not hold or not hold.isdisjoint(archives) for hold in self.holds.values())
        require(not held and basis in (1, 2), f"{self.what}: the archives are held, or its basis is unknown")
        if basis == 1:
            self.approved(d, signer, 10, archives, note)
        else:
            d.take(32)
        self.archives = [archive for archive in self.archives if archive.id not in archives]

    def hold(self, d, signer):
        identity, archives, _ = d.take(32), self.ids(d, 0), self.note(d)
        known = {archive.id for archive in self.archives}
        require(identity not in self.holds and known.issuperset(archives), f"{self.what}: it holds what is no archive")
        self.holds[identity] = set(archives)

    def release(self, d, signer):
        identity = d.take(32)
        require(identity in self.holds, f"{self.what}: it releases no hold")
        self.approved(d, signer, 12, [identity], self.note(d))
        del self.holds[identity]

    def manifest(self, digest, length, session):
        return Manifest(self.object("manifests", digest, length, 64 * MIB), session)

    def object(self, folder, digest, length, limit):
        data = self.store.read(f"{folder}/{digest.hex()}", limit, length)
        require(self.suite.digest(data) == digest, f"{folder}/{digest.hex()}: its digest is wrong")
        return data


class Manifest:  # §5
    def __init__(self, data, session):
        d = Decoder(data, "manifest")
        d.expect(b"QALAMANI\x01" + session, "its beginning")
        self.packs = d.list(1 << 20, lambda: (d.take(32), d.u64(), d.take(32)))
        self.segments = d.list(4096, lambda: (d.take(32), d.u64(), d.list(4096, lambda: d.take(32))))
        has_references = d.u8()
        require(has_references in (0, 1), "manifest: references are neither there nor not")
        self.references = (d.take(32), d.u64()) if has_references else None
        d.end()


# -------------------------------------------------------------------------------------------------- §6 packs

Place = namedtuple("Place", "pack slot offset length kind codec id members")


class Pack:
    """One pack, mapped; its footer says where the records are. Without keys nothing in it is believed but checked."""

    def __init__(self, vault, identity, length, digest):
        self.name = f"packs/{identity.hex()[:2]}/{identity.hex()}"
        require(112 + 64 <= length < 1 << 32 and length % 4096 == 0, f"{self.name}: its length is {length}")
        self.id, self.digest, self.data = identity, digest, vault.store.map(self.name, length, length)
        d = Decoder(self.data[:112], self.name)
        d.expect(b"QALAPACK\x01" + bytes(7) + identity, "its header")
        self.session, self.domain = d.take(32), d.take(32)
        d = Decoder(self.data[-64:], f"{self.name}, trailer")
        d.expect(b"QALAEND1", "its beginning")
        self.footer_offset, self.footer_length, footer_digest = d.u64(), d.u64(), d.take(32)
        d.expect(bytes(8), "its end")
        end = self.footer_offset + self.footer_length
        require(self.footer_length <= 64 * MIB, f"{self.name}: the footer is too long")
        require(112 <= self.footer_offset and end <= length - 64, f"{self.name}: the footer is not inside")
        footer = self.data[self.footer_offset : end]
        require(vault.suite.digest(footer) == footer_digest, f"{self.name}: the footer's digest is wrong")
        d = Decoder(footer, f"{self.name}, footer")
        d.expect(b"QFOT", "its beginning")
        self.places = []
        for slot in range(d.u32()):
            offset, stored, kind, codec, chunk = d.u64(), d.u32(), d.u8(), d.u8(), d.take(32)
            members = d.list(1 << 20, lambda: d.take(32))
            require(kind in (1, 2, 3, 4) and codec in (0, 1), f"{self.name}: a record of an unknown kind")
            require(8 <= stored <= LARGEST_RECORD, f"{self.name}: a record's length is out of bounds")
            self.places.append(Place(self, slot, offset, stored, kind, codec, chunk, members))
        d.end()

    def sealed(self, place):
        what = f"{self.name}, record {place.slot}"
        require(place.offset + 80 + place.length <= self.footer_offset, f"{what}: it is not inside")
        d = Decoder(self.data[place.offset : place.offset + 80 + place.length], what)
        fixed = struct.pack("<4sBBHII", b"QREC", place.kind, place.codec, 0, place.slot, place.length)
        d.expect(fixed + place.id, "its header")
        return d.take(16), d.take(place.length + 16), what

    def open(self, place, vault):
        commitment, sealed, what = self.sealed(place)
        info = b"qala/v1/record" + self.id + u32(place.slot) + bytes([place.kind, place.codec])
        info += u32(place.length) + place.id
        derived = hkdf(vault.session_key(self.session), vault.id, info, 48)
        require(hmac.compare_digest(derived[32:], commitment), f"{what}: the key does not fit")
        plain = gcm_open(derived[:32], sealed, vault.id + info, what)
        return self.unpack(plain, place, what)

    @staticmethod
    def unpack(plain, place, what):
        d = Decoder(plain, what)
        length, packed_length = d.u32(), d.u32()
        require(length <= 16 * MIB, f"{what}: a chunk of {length} bytes")
        packed = d.take(packed_length)
        require(not any(plain[d.at :]), f"{what}: the space after the chunk is not zero")
        if place.codec == 0:
            chunk = packed
        else:
            try:
                frame = zstandard.get_frame_parameters(packed)
                require(frame.window_size <= 8 * MIB, f"{what}: the window is too large")
                require(frame.content_size in (zstandard.CONTENTSIZE_UNKNOWN, length), f"{what}: its length is wrong")
                chunk = zstandard.ZstdDecompressor().decompress(packed, length or 1, allow_extra_data=False)
            except zstandard.ZstdError as error:
                raise Damage(f"{what}: {error}") from None
        require(len(chunk) == length, f"{what}: its length is wrong")
        return chunk


def group_members(chunk, what):
    d = Decoder(chunk, what)
    count = d.u32()
    require(count <= (len(chunk) - 4) // 4, f"{what}: {count} members do not fit")
    lengths = [d.u32() for _ in range(count)]
    members = [d.take(length) for length in lengths]
    d.end()
    return members


# --------------------------------------------------------------------------------------------------- the vault


class Vault:
    def __init__(self, top):
        self.store = Store(top)
        if not os.path.isfile(os.path.join(top, "vault.json")):
            raise Failure(f"there is no vault in {top}", 10)
        genesis_bytes = self.store.read("vault.json", 64 << 10)
        self.id = hashlib.sha256(genesis_bytes).digest()
        try:
            genesis = json.loads(genesis_bytes.decode("utf-8"))
            require(genesis["format"] == 1, f"vault.json: format {genesis['format']} is not known to this program")
            self.suite = Suite(genesis["suite"])
            unknown = set(genesis["incompatible"]) - KNOWN_FEATURES
            require(not unknown, f"vault.json: needs features that this program lacks: {', '.join(map(str, unknown))}")
            root = bytes.fromhex(genesis["root"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise Damage(f"vault.json: {error!r}") from None
        self.log = Log(self.store, self.id, root, self.suite)
        self.reader, self.domain_keys, self.session_keys, self.packs, self.tables = None, {}, {}, {}, {}
        self.recent = OrderedDict()

    def unlock(self, secret):
        self.reader = ReadingKey(hkdf(secret, self.id, b"qala/v1/reader"))
        self.reader_id = self.suite.digest(b"qala/v1/reader-id" + self.reader.public)
        if all(reader.id != self.reader_id for reader in self.log.keys.readers):
            raise WrongKey("the key is not, or no longer, a reader of this vault")

    def domain_key(self, domain, generation):
        """The domain's key pair of that generation, and its identity secret."""
        if (domain, generation) not in self.domain_keys:
            if self.reader is None:
                raise WrongKey("a key is needed: --passphrase-file or --code-file")
            what = f"domain {domain.hex()[:8]} generation {generation}"
            require((domain, generation) in self.log.keys.domains, f"{what}: it is not in the key set")
            public, wraps = self.log.keys.domains[(domain, generation)]
            if self.reader_id not in wraps:
                raise WrongKey(f"{what}: not sealed to this reader")
            plain = self.reader.open(wraps[self.reader_id], b"qala/v1/domain" + self.id + domain + u32(generation), what)
            require(len(plain) == 64, f"{what}: its private part has {len(plain)} bytes")
            key = ReadingKey(plain[:32])
            require(key.public == public, f"{what}: the public key is another one")
            self.domain_keys[(domain, generation)] = key, plain[32:]
        return self.domain_keys[(domain, generation)]

    def session_key(self, identity):
        if identity not in self.session_keys:
            session = self.log.sessions.get(identity)
            require(session, f"session {identity.hex()[:8]}: the log does not open it")
            name, data = f"keyrings/{session.keyring[0].hex()}", self.log.object("keyrings", *session.keyring, 4096)
            context = self.id + identity + session.domain + u32(session.generation)
            d = Decoder(data, name)
            d.expect(b"QALARING\x01" + context, "its beginning")
            sealed = d.take(1168)
            d.end()
            key, _ = self.domain_key(session.domain, session.generation)
            plain = key.open(sealed, b"qala/v1/keyring" + context, name)
            commitment = hkdf(plain, self.id, b"qala/v1/commit" + identity)
            require(hmac.compare_digest(commitment, session.commitment), f"{name}: not the session key of the log")
            self.session_keys[identity] = plain
        return self.session_keys[identity]

    def all_packs(self):
        """Every pack that the log names, in its order, each once."""
        for manifest in self.log.manifests:
            for identity, length, digest in manifest.packs:
                if ("packs", identity) in self.log.deleted:
                    continue
                if identity not in self.packs:
                    self.packs[identity] = Pack(self, identity, length, digest)
                    session = self.log.sessions.get(self.packs[identity].session)
                    fits = session and session.domain == self.packs[identity].domain
                    require(fits, f"{self.packs[identity].name}: its session is not of its domain")
                pack = self.packs[identity]
                require((len(pack.data), pack.digest) == (length, digest), f"{pack.name}: two manifests disagree")
        return self.packs.values()

    def table(self, domain):
        """Where each chunk of a domain is: the first in log order counts."""
        if domain not in self.tables:
            table = self.tables[domain] = {}
            for place in (place for pack in self.all_packs() if pack.domain == domain for place in pack.places):
                table.setdefault(place.id, place)
        return self.tables[domain]

    def identify(self, domain, generation, kind, data):
        _, secret = self.domain_key(domain, generation)
        return self.suite.keyed(hkdf(secret, self.id, b"qala/v1/identity" + bytes([kind])), data)

    def chunk(self, session, identity, kind):
        """The plaintext of one chunk, compared with its id; the members of a group as a list."""
        if (session.domain, identity) in self.recent:
            found, value = self.recent[(session.domain, identity)]
            self.recent.move_to_end((session.domain, identity))
        else:
            place = self.table(session.domain).get(identity)
            require(place, f"chunk {identity.hex()}: no pack has it")
            found, value = place.kind, self.open_place(place)
            self.recent[(session.domain, identity)] = found, value
            if len(self.recent) > 16:
                self.recent.popitem(last=False)
        require(found == kind, f"chunk {identity.hex()}: it is of kind {found}, not {kind}")
        return value

    def open_place(self, place):
        chunk, what = place.pack.open(place, self), f"chunk {place.id.hex()}"
        session = self.log.sessions[place.pack.session]
        context = session.domain, session.generation
        require(self.identify(*context, place.kind, chunk) == place.id, f"{what}: it is another one")
        if place.kind != 2:
            require(not place.members, f"{what}: it has members but is no group")
            return chunk
        members = group_members(chunk, what)
        same = [self.identify(*context, 0, member) for member in members] == place.members
        require(same, f"{what}: the footer tells other members")
        return members
