import CBlake3
import COpenSSL
package import Domain

/// Computes the unkeyed digest of a stored object piece by piece: BLAKE3 in the suite `blake3`, SHA-256 in
/// `hmac-sha256`. Pieces of 64 KiB and more run at full speed.
package struct ObjectHasher: ~Copyable {
    /// The hash in progress, owned by this value.
    private enum State {
        case blake3(UnsafeMutablePointer<qala_blake3_stream>)
        case sha256(OpaquePointer)
    }

    private let state: State

    /// Stops the process when libcrypto has no memory for a context.
    package init(suite: HashSuite) {
        switch suite {
        case .blake3:
            let stream = UnsafeMutablePointer<qala_blake3_stream>.allocate(capacity: 1)
            qala_blake3_stream_init(stream, nil)
            state = .blake3(stream)
        case .hmacSHA256:
            guard let context = EVP_MD_CTX_new(), EVP_DigestInit_ex(context, EVP_sha256(), nil) == 1 else {
                fatalError("libcrypto cannot start SHA-256")
            }
            state = .sha256(context)
        }
    }

    deinit {
        switch state {
        case .blake3(let stream): stream.deallocate()
        case .sha256(let context): EVP_MD_CTX_free(context)
        }
    }

    package mutating func update(_ bytes: UnsafeRawBufferPointer) {
        guard !bytes.isEmpty else { return }
        switch state {
        case .blake3(let stream):
            qala_blake3_stream_update(stream, bytes.baseAddress, bytes.count)
        case .sha256(let context):
            guard EVP_DigestUpdate(context, bytes.baseAddress, bytes.count) == 1 else {
                fatalError("libcrypto cannot continue SHA-256")
            }
        }
    }

    package mutating func update(_ bytes: [UInt8]) { bytes.withUnsafeBytes { update($0) } }

    package consuming func finalize() -> Digest {
        let state = state
        return Digest.filled { out in
            switch state {
            case .blake3(let stream):
                qala_blake3_stream_final(stream, out)
            case .sha256(let context):
                guard EVP_DigestFinal_ex(context, out, nil) == 1 else { fatalError("libcrypto cannot end SHA-256") }
            }
        }
    }

    package static func digest(of bytes: UnsafeRawBufferPointer, suite: HashSuite) -> Digest {
        switch suite {
        case .blake3:
            Digest.filled { out in qala_blake3(nil, bytes.baseAddress, bytes.count, out) }
        case .hmacSHA256:
            Digest.filled { out in
                guard EVP_Digest(bytes.baseAddress, bytes.count, out, nil, EVP_sha256(), nil) == 1 else {
                    fatalError("libcrypto cannot compute SHA-256")
                }
            }
        }
    }

    package static func digest(of bytes: [UInt8], suite: HashSuite) -> Digest {
        bytes.withUnsafeBytes { digest(of: $0, suite: suite) }
    }
}
