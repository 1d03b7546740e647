import Domain

/// The index segments of a domain as far as they can be found.
struct FindableSegments {
    var segments: [LiveSegment] = []
    /// Names of manifests that count and are missing or damaged: what only their segments know is not found.
    var lostManifests: [String] = []
    /// Whether a segment was passed over as well.
    var lacksSegment = false
}

extension Vault {
    /// Like ``liveSegments(of:)``, for those who look chunks up and delete nothing: a lost manifest costs what its segments
    /// alone know, not the archives of all others.
    ///
    /// Whatever decides what is *not* needed must not ask here: a segment that a lost manifest had replaced counts as live again,
    /// and one that it named is not there. Such a view is true in what it finds, as every row stands in an object that a
    /// digest names, and rows of deleted packs are left out by those who ask; it is only incomplete.
    func findableSegments(of domain: Digest) throws(VaultError) -> FindableSegments {
        var found = FindableSegments()
        var manifests: [NumberedManifest] = []
        for (number, reference) in namedManifests(of: domain) {
            do throws(VaultError) {
                manifests.append(NumberedManifest(number: number, manifest: try manifest(reference)))
            } catch {
                guard error.isLoss else { throw error }
                found.lostManifests.append(Manifest.objectName(reference.digest))
            }
        }
        for segment in Self.liveSegmentNames(in: manifests) {
            do throws(VaultError) {
                found.segments.append(try openSegment(segment, domain, manifests))
            } catch {
                // With all manifests there each live segment must be. Otherwise this one may have been replaced by one that only
                // the lost manifest names, and been swept.
                guard error.isLoss, !found.lostManifests.isEmpty else { throw error }
                found.lacksSegment = true
            }
        }
        return found
    }
}
