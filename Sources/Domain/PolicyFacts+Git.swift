extension PolicyFacts {
    func line(_ repository: GitSource) -> String {
        [
            "\(word("git repository", "git deposu")): \(repository.name), \(repository.repository)",
            "\(word("full check every", "tam yoxlama: hər")) \(repository.integrityCheck.text(in: language))",
            "\(word("at most", "ən çoxu")) \(repository.timeout.text(in: language))",
        ].joined(separator: "; ")
    }
}
