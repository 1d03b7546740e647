// Expected results of the hash functions, facts that other implementations agree on. The message of length n is the bytes
// i mod 251 for i in 0 ..< n; the key is the 32 bytes of "whats the Elvish word for friend".

/// One message and its four hashes, in hexadecimal.
struct HashVector: Sendable {
    let length: Int
    let blake3: String
    let keyedBlake3: String
    let sha256: String
    let hmacSHA256: String
}

/// The lengths around every boundary of block, leaf and subtree.
let hashVectors: [HashVector] = [
    HashVector(
        length: 0,
        blake3: "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
        keyedBlake3: "92b2b75604ed3c761f9d6f62392c8a9227ad0ea3f09573e783f1498a4ed60d26",
        sha256: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        hmacSHA256: "ac5cdc92d0353395a93bf097797193a9b0ac5177806c777f945ffd6591d99e49"),
    HashVector(
        length: 1,
        blake3: "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213",
        keyedBlake3: "6d7878dfff2f485635d39013278ae14f1454b8c0a3a2d34bc1ab38228a80c95b",
        sha256: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        hmacSHA256: "cb434951f20e02b4130693e1370767e5bd051014c895229f4507dc6a6fe5bf94"),
    HashVector(
        length: 2,
        blake3: "7b7015bb92cf0b318037702a6cdd81dee41224f734684c2c122cd6359cb1ee63",
        keyedBlake3: "5392ddae0e0a69d5f40160462cbd9bd889375082ff224ac9c758802b7a6fd20a",
        sha256: "b413f47d13ee2fe6c845b2ee141af81de858df4ec549a58b7970bb96645bc8d2",
        hmacSHA256: "ca63becd9b054b09e4255c3ec744ea625f581a0c49e449c839bc413978485077"),
    HashVector(
        length: 3,
        blake3: "e1be4d7a8ab5560aa4199eea339849ba8e293d55ca0a81006726d184519e647f",
        keyedBlake3: "39e67b76b5a007d4921969779fe666da67b5213b096084ab674742f0d5ec62b9",
        sha256: "ae4b3280e56e2faf83f414a6e3dabe9d5fbe18976544c05fed121accb85b53fc",
        hmacSHA256: "80e1997ed178634e9eb0faf7f6dc8aae26163626bf3238761de575621223987a"),
    HashVector(
        length: 4,
        blake3: "f30f5ab28fe047904037f77b6da4fea1e27241c5d132638d8bedce9d40494f32",
        keyedBlake3: "7671dde590c95d5ac9616651ff5aa0a27bee5913a348e053b8aa9108917fe070",
        sha256: "054edec1d0211f624fed0cbca9d4f9400b0e491c43742af2c5b0abebf0c990d8",
        hmacSHA256: "819f739949f51d099149e774501486843111a2f31ced19988eebe14b964265ce"),
    HashVector(
        length: 5,
        blake3: "b40b44dfd97e7a84a996a91af8b85188c66c126940ba7aad2e7ae6b385402aa2",
        keyedBlake3: "73ac69eecf286894d8102018a6fc729f4b1f4247d3703f69bdc6a5fe3e0c8461",
        sha256: "08bb5e5d6eaac1049ede0893d30ed022b1a4d9b5b48db414871f51c9cb35283d",
        hmacSHA256: "4408b94564f6edd4ab23ca9d41dc3c19918d56356081acf2bb4eb9b3582763eb"),
    HashVector(
        length: 6,
        blake3: "06c4e8ffb6872fad96f9aaca5eee1553eb62aed0ad7198cef42e87f6a616c844",
        keyedBlake3: "82d3199d0013035682cc7f2a399d4c212544376a839aa863a0f4c91220ca7a6d",
        sha256: "17e88db187afd62c16e5debf3e6527cd006bc012bc90b51a810cd80c2d511f43",
        hmacSHA256: "e0f279343ffe143fcc06cf0be686b0018f0f7c77277988591ba3fa88b7786992"),
    HashVector(
        length: 7,
        blake3: "3f8770f387faad08faa9d8414e9f449ac68e6ff0417f673f602a646a891419fe",
        keyedBlake3: "af0a7ec382aedc0cfd626e49e7628bc7a353a4cb108855541a5651bf64fbb28a",
        sha256: "57355ac3303c148f11aef7cb179456b9232cde33a818dfda2c2fcb9325749a6b",
        hmacSHA256: "cf63d1ce3d2e6ae182a36e0fdebbda297bddcfe19da798b091e85d69e90f71d6"),
    HashVector(
        length: 8,
        blake3: "2351207d04fc16ade43ccab08600939c7c1fa70a5c0aaca76063d04c3228eaeb",
        keyedBlake3: "be2f5495c61cba1bb348a34948c004045e3bd4dae8f0fe82bf44d0da245a0600",
        sha256: "8a851ff82ee7048ad09ec3847f1ddf44944104d2cbd17ef4e3db22c6785a0d45",
        hmacSHA256: "78d8b9bf52063b2806089f882fc7fd0a1287e84ec0993031f6ca098d8f2c954f"),
    HashVector(
        length: 63,
        blake3: "e9bc37a594daad83be9470df7f7b3798297c3d834ce80ba85d6e207627b7db7b",
        keyedBlake3: "bb1eb5d4afa793c1ebdd9fb08def6c36d10096986ae0cfe148cd101170ce37ae",
        sha256: "29af2686fd53374a36b0846694cc342177e428d1647515f078784d69cdb9e488",
        hmacSHA256: "7b57ca7c1db291a862cf3bc58970be5ae09c28e161bec0a7b747d2ce01b51349"),
    HashVector(
        length: 64,
        blake3: "4eed7141ea4a5cd4b788606bd23f46e212af9cacebacdc7d1f4c6dc7f2511b98",
        keyedBlake3: "ba8ced36f327700d213f120b1a207a3b8c04330528586f414d09f2f7d9ccb7e6",
        sha256: "fdeab9acf3710362bd2658cdc9a29e8f9c757fcf9811603a8c447cd1d9151108",
        hmacSHA256: "bf998a2137909ec02f4457114cfe80659fea73892059084e46af0e73407e8c5f"),
    HashVector(
        length: 65,
        blake3: "de1e5fa0be70df6d2be8fffd0e99ceaa8eb6e8c93a63f2d8d1c30ecb6b263dee",
        keyedBlake3: "c0a4edefa2d2accb9277c371ac12fcdbb52988a86edc54f0716e1591b4326e72",
        sha256: "4bfd2c8b6f1eec7a2afeb48b934ee4b2694182027e6d0fc075074f2fabb31781",
        hmacSHA256: "83ea4da7dffa86954bde1087f94d2172399eb1235a06458391454529c1565872"),
    HashVector(
        length: 127,
        blake3: "d81293fda863f008c09e92fc382a81f5a0b4a1251cba1634016a0f86a6bd640d",
        keyedBlake3: "c64200ae7dfaf35577ac5a9521c47863fb71514a3bcad18819218b818de85818",
        sha256: "92ca0fa6651ee2f97b884b7246a562fa71250fedefe5ebf270d31c546bfea976",
        hmacSHA256: "61f52bbfdbf6851d293a06ff99b287ad71d75c0caaea492f84698f7400918d27"),
    HashVector(
        length: 128,
        blake3: "f17e570564b26578c33bb7f44643f539624b05df1a76c81f30acd548c44b45ef",
        keyedBlake3: "b04fe15577457267ff3b6f3c947d93be581e7e3a4b018679125eaf86f6a628ec",
        sha256: "471fb943aa23c511f6f72f8d1652d9c880cfa392ad80503120547703e56a2be5",
        hmacSHA256: "6d3e44d491c517fa2e8e45a968f89107778627c876c9c138c9641c34ff4e57f7"),
    HashVector(
        length: 129,
        blake3: "683aaae9f3c5ba37eaaf072aed0f9e30bac0865137bae68b1fde4ca2aebdcb12",
        keyedBlake3: "d4a64dae6cdccbac1e5287f54f17c5f985105457c1a2ec1878ebd4b57e20d38f",
        sha256: "5099c6a56203f9687f7d33f4bfdf576d31dc91f6b695ecea38b2770c87631135",
        hmacSHA256: "0a294c2655bdf480218c8267e20614cb3fd7ac5cd99d54955685b8ef0019d918"),
    HashVector(
        length: 1023,
        blake3: "10108970eeda3eb932baac1428c7a2163b0e924c9a9e25b35bba72b28f70bd11",
        keyedBlake3: "c951ecdf03288d0fcc96ee3413563d8a6d3589547f2c2fb36d9786470f1b9d6e",
        sha256: "1c5e88a585b61754df6137d66632a7348557a88358afc401b0a0a4fc427104a9",
        hmacSHA256: "2d9a080deda809a17c00b3c172b68f86634f575d0a642f819a0cb7b3d15c396a"),
    HashVector(
        length: 1024,
        blake3: "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7",
        keyedBlake3: "75c46f6f3d9eb4f55ecaaee480db732e6c2105546f1e675003687c31719c7ba4",
        sha256: "2bce1ba628720664be4b9fdd77aae0678e5f0f3f02fc6ff641ec879094f6a404",
        hmacSHA256: "ab7cbc4bcb309d0460543ec50f9f3f90f4e41f68ecfaf4fbfd29a4a7997c03e6"),
    HashVector(
        length: 1025,
        blake3: "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444",
        keyedBlake3: "357dc55de0c7e382c900fd6e320acc04146be01db6a8ce7210b7189bd664ea69",
        sha256: "bc0b6b10b89b9487a12fda2a8cc13194e7091c217aabf8b92846274026f4bcd0",
        hmacSHA256: "8fdb3cd9d8237b2ff5f5318d3bffd007d2ddc2df3eb3138c40680fec2c70f580"),
    HashVector(
        length: 2048,
        blake3: "e776b6028c7cd22a4d0ba182a8bf62205d2ef576467e838ed6f2529b85fba24a",
        keyedBlake3: "879cf1fa2ea0e79126cb1063617a05b6ad9d0b696d0d757cf053439f60a99dd1",
        sha256: "b2a8170614e23194ae2951423d601987f518ce2f11205d7b0b708080103b9f76",
        hmacSHA256: "d38cdf85426503c8cc007cad0e0f6a528609f9efb1dc8a4cbc346b6c4c3b04c9"),
    HashVector(
        length: 2049,
        blake3: "5f4d72f40d7a5f82b15ca2b2e44b1de3c2ef86c426c95c1af0b6879522563030",
        keyedBlake3: "9f29700902f7c86e514ddc4df1e3049f258b2472b6dd5267f61bf13983b78dd5",
        sha256: "26e1e2808e3a6cf967ca03f6749a063c5ed55f92f5874653a1faabed78346f00",
        hmacSHA256: "b80e71bb6d7ec0892ea964530ce42ba22aca27be07779f7d77bdfc2fc3849726"),
    HashVector(
        length: 3072,
        blake3: "b98cb0ff3623be03326b373de6b9095218513e64f1ee2edd2525c7ad1e5cffd2",
        keyedBlake3: "044a0e7b172a312dc02a4c9a818c036ffa2776368d7f528268d2e6b5df191770",
        sha256: "5f24b2f16026ec7d0450a5a08283d3cfd47302fe859f579ed79fe7d2663b73f9",
        hmacSHA256: "e18559a8d028e06f5171bd2a2a990424a4d94bb25ac6b2bab52e716aad585da7"),
    HashVector(
        length: 3073,
        blake3: "7124b49501012f81cc7f11ca069ec9226cecb8a2c850cfe644e327d22d3e1cd3",
        keyedBlake3: "68dede9bef00ba89e43f31a6825f4cf433389fedae75c04ee9f0cf16a427c95a",
        sha256: "b870cdfe188c14fbfc31a1be12cd7e83b63551fff30f847fa275d5d4ac409471",
        hmacSHA256: "3f621459afaafaa05cb48c384891067f642188cd0a2eeb50f532b38cfb950e9f"),
    HashVector(
        length: 4096,
        blake3: "015094013f57a5277b59d8475c0501042c0b642e531b0a1c8f58d2163229e969",
        keyedBlake3: "befc660aea2f1718884cd8deb9902811d332f4fc4a38cf7c7300d597a081bfc0",
        sha256: "d67c656e01756650d77717b0839985a056ec28ffe174601d690fc407a2ceffca",
        hmacSHA256: "b4d4f27070efed51cc9585230b608642f378f99061e869df2ae4697bef20def7"),
    HashVector(
        length: 4097,
        blake3: "9b4052b38f1c5fc8b1f9ff7ac7b27cd242487b3d890d15c96a1c25b8aa0fb995",
        keyedBlake3: "00df940cd36bb9fa7cbbc3556744e0dbc8191401afe70520ba292ee3ca80abbc",
        sha256: "a16560d668b843fb3be99ace41dbd18471f342bd3255a1d21204b35e43f74436",
        hmacSHA256: "cd62367a4bfb711f4ac52abd385c12c36e4e6d9db0fc1b9d2a0ff9326af31a22"),
    HashVector(
        length: 5120,
        blake3: "9cadc15fed8b5d854562b26a9536d9707cadeda9b143978f319ab34230535833",
        keyedBlake3: "2c493e48e9b9bf31e0553a22b23503c0a3388f035cece68eb438d22fa1943e20",
        sha256: "2d3fb9161493509e3fa3f5472d8a284ee687f64524f0925be67e132ef43f43e0",
        hmacSHA256: "2a669c9de102a4ff1d0281d325e57a196430f7ca8a009430abee3da746ba06ba"),
    HashVector(
        length: 5121,
        blake3: "628bd2cb2004694adaab7bbd778a25df25c47b9d4155a55f8fbd79f2fe154cff",
        keyedBlake3: "6ccf1c34753e7a044db80798ecd0782a8f76f33563accaddbfbb2e0ea4b2d024",
        sha256: "f19db61046ca889db9bd34d779cd362c6a7198cb5a0e3a2882e7bd24a901cc1d",
        hmacSHA256: "a8d078336823aa0dc510d410a5c94f27e1e7d5249d0faa34e795f300d377bdac"),
    HashVector(
        length: 6144,
        blake3: "3e2e5b74e048f3add6d21faab3f83aa44d3b2278afb83b80b3c35164ebeca205",
        keyedBlake3: "3d6b6d21281d0ade5b2b016ae4034c5dec10ca7e475f90f76eac7138e9bc8f1d",
        sha256: "b7806fa749a8944b54898488d9cf0bcbd8d8010eaa4955b9aaa809a4100953bd",
        hmacSHA256: "7b8736993e960ff65bb7866bd9d60866848d50f835da80130d5369c7cbe4b317"),
    HashVector(
        length: 6145,
        blake3: "f1323a8631446cc50536a9f705ee5cb619424d46887f3c376c695b70e0f0507f",
        keyedBlake3: "9ac301e9e39e45e3250a7e3b3df701aa0fb6889fbd80eeecf28dbc6300fbc539",
        sha256: "14c3dded0a72fea7b6032b1648b3018bd7174dc2b210b94de258e06ad76533bb",
        hmacSHA256: "2c892d165a411662df9e9bbb6a21c654059b7d2a306f19fc9ef87b3ab9b25805"),
    HashVector(
        length: 7168,
        blake3: "61da957ec2499a95d6b8023e2b0e604ec7f6b50e80a9678b89d2628e99ada77a",
        keyedBlake3: "b42835e40e9d4a7f42ad8cc04f85a963a76e18198377ed84adddeaecacc6f3fc",
        sha256: "fc886a975cb8681be6e3693287b09735d2493d274a8cf305de38f4aafa5f72d8",
        hmacSHA256: "cedcce57deb719c5e7747e28261d53d5f14d1b03afebf4f1a7af5608af40e56b"),
    HashVector(
        length: 7169,
        blake3: "a003fc7a51754a9b3c7fae0367ab3d782dccf28855a03d435f8cfe74605e7817",
        keyedBlake3: "ed9b1a922c046fdb3d423ae34e143b05ca1bf28b710432857bf738bcedbfa511",
        sha256: "ca9fb85c318e92457d00499e940dee1e25dd928cb5804f939e4856d52508aa56",
        hmacSHA256: "b6aae97c054ef903014e174eed1f37401ea0048fbb329635ba407058ae055707"),
    HashVector(
        length: 8192,
        blake3: "aae792484c8efe4f19e2ca7d371d8c467ffb10748d8a5a1ae579948f718a2a63",
        keyedBlake3: "dc9637c8845a770b4cbf76b8daec0eebf7dc2eac11498517f08d44c8fc00d58a",
        sha256: "25df2449b2e5a35fea14e02a7158e283801a1069c9f84631b9a9dacb2f809a7f",
        hmacSHA256: "07170a7fa33374c0b36403f3f310a765906ce203fc4af5012a396d9abb7bffa8"),
    HashVector(
        length: 8193,
        blake3: "bab6c09cb8ce8cf459261398d2e7aef35700bf488116ceb94a36d0f5f1b7bc3b",
        keyedBlake3: "954a2a75420c8d6547e3ba5b98d963e6fa6491addc8c023189cc519821b4a1f5",
        sha256: "7e3691790cd64b19d4edb1a80e988214515abeb53aa0f34ffbfe4b4bf405d120",
        hmacSHA256: "6593138e04cc6f9d8486f50287ba1ff5f45f185c1e4b352aec5e20d09b102817"),
    HashVector(
        length: 16384,
        blake3: "f875d6646de28985646f34ee13be9a576fd515f76b5b0a26bb324735041ddde4",
        keyedBlake3: "9e9fc4eb7cf081ea7c47d1807790ed211bfec56aa25bb7037784c13c4b707b0d",
        sha256: "4348e3b98e8a327b34ced39c1da9e67cdb4cd5e48e4d7960607a3ae403d35f0c",
        hmacSHA256: "0125de6b32050af1df42eb527725f2ec868b681fb18b37f7e065086285a42f3b"),
    HashVector(
        length: 31744,
        blake3: "62b6960e1a44bcc1eb1a611a8d6235b6b4b78f32e7abc4fb4c6cdcce94895c47",
        keyedBlake3: "efa53b389ab67c593dba624d898d0f7353ab99e4ac9d42302ee64cbf9939a419",
        sha256: "3cfe29c8d109f9f2c47826c78f931f31fdec70a2cf0ddfbba8fe8009a729dd42",
        hmacSHA256: "466a919b6624b94394a81bdc5d5a233c91362ed7ce5650cbdd7695b06d84f895"),
    HashVector(
        length: 102400,
        blake3: "bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085",
        keyedBlake3: "1c35d1a5811083fd7119f5d5d1ba027b4d01c0c6c49fb6ff2cf75393ea5db4a7",
        sha256: "74588b7f0bcc354ac14d9cf199fa3a20c05f0c7293b9075b2f2e146e718de800",
        hmacSHA256: "0779382e5942bc78566362fe8f3dc3a32f7dc8ef207135a9e6b73e85086e32d1"),
]
