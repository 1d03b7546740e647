package import Domain

/// Every sentence that the command says to people, in both languages, in one place.
///
/// A case without both texts does not compile. `%1`, `%2` … stand for the arguments; a test holds that both languages
/// of a text use the same ones. Official terms follow the glossary of the regulation.
package enum Text: CaseIterable, Sendable {
    case errorPrefix, hintPrefix, warningPrefix
    case newPassphrase, passphrase, passphraseAgain, passphrasesDiffer, passphraseTooShort, passphraseEmpty
    case noPassphraseSource, noPassphraseSourceHint, noKitPlace, noKitPlaceHint, openToOthers, openToOthersHint
    case fileUnreadable, fileTooLong, badDescriptor, badDescriptorHint, passphraseInterrupted
    case initialized, vaultIs, vaultIDIs, suiteIs, kitWritten, kitKeep, writeOnlyNote, kitShown, kitShownEnd,
        nextArchive
    case policyIs, componentIs, responsibleIs, deputyIs, legalBasisIs, confidentialityIs
    case archived, archivedDry, archiveCounts, archiveRead, archiveStored, archiveResumed, archiveExcluded
    case changedWhileRead, couldNotArchive, partialArchive, moreProblems
    case archivesUnread, notSearched, noArchives, noArchivesOfPolicy, noEntries, nothingFound, nothingFoundHint,
        noVersions, noDifferences
    case columnID, columnTime, columnPolicy, columnComponent, columnFiles, columnSize, columnRoots, columnNote
    case columnMode, columnOwner, columnModified, columnPath, columnArchives, columnNewest, columnSince
    case columnKind, columnLabel, columnCreated, columnObject, columnReason, columnBefore, columnAfter
    case partialMark, administratorMark, stateDenied
    case restored, restoredDry, restoreCounts, restoreVerified, restoreSkipped, restoreInTheWay
    case ownershipNotSet, ownershipHint
    case couldNotRestore, restoreDamaged, targetNeeded, targetNeededHint
    case directoryNeeded, directoryNeededHint, tablespaceForm, tablespaceFormHint
    case verifiedDigests, verifiedStructure, verifiedData, verifyCounts, verifyRead, noDamage, damageFound, damageAdvice
    case freshnessProven, freshnessUnproven, treesNotRead, verifiedSample, verifySampleRead, noDamageInSample
    case keyAdded, keyRemoved, keysRotated, keyOpens, hostEnrolled, noKeys
    case statArchives, statRecords, statSessions, statPacks, statChunks, statSegments, statReaders, statWriters
    case statPlain, statHead, indexRebuilt, catalogRebuilt
    case reasonNeeded, reasonNeededHint, requestWritten, requestNext, decisionDry, disposed, held, released, holdIs,
        everyArchive, noHolds, columnReleased, columnDisposed, noDisposed
    case swept, sweptDry, sweptCounts, sweptRevived, sweepWaits, sweepWaitsHint, sweepProblems, statDisposed
    case daemonIs, daemonIdle, daemonPaused, daemonFolderIs, runIs, runAsked, runWaiting, noRuns, noEvents,
        policiesNotInForce
    case pausedAll, resumedAll, pausedOne, resumedOne, runCancelling, columnState, columnNext, columnLast,
        columnFailures,
        columnEnded, columnRun, columnMessage, pausedMark, hookFailed
    case policiesSound, policiesBlocked, noComingRuns, columnDue, columnStart
    case progressFiles, progressRatio, progressRemaining, progressPreparing, stopping, interruptedResume
    case sampleInvalid, pathNeeded, pathNeededHint, badArchivePath, badArchivePathHint, emptyPath
    case argumentNotUTF8, argumentNotUTF8Hint, variableNotUTF8, directoryNotUTF8, placeNotUTF8Hint
    case targetNotDirectory, targetNotDirectoryHint

    package func callAsFunction(_ language: Language, _ arguments: [String] = []) -> String {
        Self.filled(language == .azerbaijani ? both.az : both.en, arguments)
    }

    /// `template` with the arguments in place of its marks.
    static func filled(_ template: String, _ arguments: [String]) -> String {
        guard !arguments.isEmpty else { return template }
        var text = ""
        var isMark = false
        for character in template {
            if isMark {
                isMark = false
                if let number = character.wholeNumberValue, number >= 1, number <= arguments.count {
                    text += arguments[number - 1]
                } else {
                    text += "%\(character)"
                }
            } else if character == "%" {
                isMark = true
            } else {
                text.append(character)
            }
        }
        return isMark ? text + "%" : text
    }

    /// The sentence for a kind of failure, said before the details, which are in English.
    package static func failure(_ kind: FailureKind) -> (en: String, az: String) {
        switch kind {
        case .failed: ("failed", "alınmadı")
        case .noVault: ("no vault", "arxiv anbarı yoxdur")
        case .inUse: ("in use", "başqa proses istifadə edir")
        case .wrongKey: ("wrong key", "açar uyğun gəlmir")
        case .damaged: ("damage found", "zədə aşkar edildi")
        case .notFound: ("not found", "tapılmadı")
        case .usage: ("usage", "əmr düzgün yazılmayıb")
        case .daemonDown: ("daemon down", "xidmət cavab vermir")
        case .tryAgain: ("try again", "müvəqqəti maneə, yenidən cəhd edin")
        case .denied: ("denied", "icazə yoxdur")
        case .badPolicy: ("bad policy", "siyasət sənədində səhv var")
        case .interrupted: ("interrupted", "dayandırıldı")
        }
    }
}
