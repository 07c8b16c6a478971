namespace LmcDsl

open System.Text.RegularExpressions

/// A data set by name. Where its files are is found out when a plan runs.
type DataSet =
    /// Handwritten digits, 60,000 + 10,000 grey images of 28x28 in 10 classes.
    | Mnist
    /// Articles of clothing, of the same sizes as MNIST (Xiao et al., 1708.07747).
    | FashionMnist
    /// Photographs in colour, 50,000 + 10,000 of 32x32 in 10 classes (Krizhevsky, 2009), in their binary layout.
    | Cifar10
    /// Shapes drawn by code, 20,000 + 4,000 grey images of 28x28 in 10 classes; needs no files.
    | Glyphs
    /// The first so many training and test images of another data set, for trials.
    | Part of DataSet * train: int * test: int

/// One file of a data set.
type DataFile =
    {
        /// Its name, without the ending of a compressed copy.
        Name: string
        /// SHA-256 of its uncompressed content, in hexadecimal, where all copies have the same.
        Sha256: string option
    }

/// What is known of each data set without opening a file.
[<RequireQualifiedAccess>]
module DataSet =

    /// All data sets, each whole.
    let all = [ Mnist; FashionMnist; Cifar10; Glyphs ]

    /// The name on the command line and of the folder; of a part, for example `mnist:2000+500`.
    let rec name dataset =
        match dataset with
        | Mnist -> "mnist"
        | FashionMnist -> "fashion-mnist"
        | Cifar10 -> "cifar-10"
        | Glyphs -> "glyphs"
        | Part(whole, train, test) -> $"{name whole}:{train}+{test}"

    /// The data set that a part is of; any other is its own.
    let rec whole dataset =
        match dataset with
        | Part(other, _, _) -> whole other
        | other -> other

    /// The data set of that name.
    let tryParse (text: string) =
        let known text = all |> List.tryFind (fun dataset -> name dataset = text)
        let part = Regex.Match(text, @"^([^:]+):([1-9]\d{0,8})\+([1-9]\d{0,8})$")
        let count (group: int) = int part.Groups[group].Value

        if part.Success then
            known part.Groups[1].Value |> Option.map (fun whole -> Part(whole, count 2, count 3))
        else
            known text

    /// Shape of one image: channels, height, width.
    let shape dataset =
        match whole dataset with
        | Cifar10 -> [ 3; 32; 32 ]
        | _ -> [ 1; 28; 28 ]

    /// Number of classes.
    let classes (_: DataSet) = 10

    let private idx trainImages trainLabels testImages testLabels =
        [
            { Name = "train-images-idx3-ubyte"; Sha256 = Some trainImages }
            { Name = "train-labels-idx1-ubyte"; Sha256 = Some trainLabels }
            { Name = "t10k-images-idx3-ubyte"; Sha256 = Some testImages }
            { Name = "t10k-labels-idx1-ubyte"; Sha256 = Some testLabels }
        ]

    /// The files of a data set, in the order in which they are read. None for one that is drawn.
    let rec files dataset =
        match dataset with
        | Mnist ->
            idx
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"
        | FashionMnist ->
            idx
                "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"
                "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"
                "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"
                "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"
        | Cifar10 ->
            [ for k in 1..5 -> $"data_batch_{k}.bin" ] @ [ "test_batch.bin" ]
            |> List.map (fun name -> { Name = name; Sha256 = None })
        | Glyphs -> []
        | Part(whole, _, _) -> files whole

    /// Where the data set's makers, or their hosts, serve the files; each with a slash at its end.
    let mirrors dataset =
        match whole dataset with
        | Mnist -> [ "https://ossci-datasets.s3.amazonaws.com/mnist/" ]
        | FashionMnist ->
            [
                "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
                "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/"
            ]
        | _ -> [] // CIFAR-10 is served as one archive only, and glyphs are drawn
