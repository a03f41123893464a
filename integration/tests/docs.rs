//! Every command and program of the README and of docs/ is run, in a directory like the
//! unpacked tarball and in a network of its own. See `integration::document` for the blocks.
#![allow(missing_docs)]

use integration::document::{agrees, blocks, Block};
use integration::network::{Network, SERVER_ADDRESS};
use integration::run::finish;
use integration::scratch::Scratch;
use integration::{has, is_root, project_root, skipped};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Between the outputs of two commands.
const SEPARATOR: char = '\u{1e}';

#[test]
fn every_command_and_program_of_the_documents_does_what_they_say() {
    if !is_root() {
        return skipped("the documents' servers need a network of their own, which needs root");
    }
    if let Some(tool) = ["curl", "pgrep", "hostname", "ip"].into_iter().find(|tool| !has(tool)) {
        return skipped(&format!("the documents use {tool}, which is not installed"));
    }
    let results: Vec<Result<Count, String>> = std::thread::scope(|scope| {
        let threads: Vec<_> = documents().into_iter().map(|path| scope.spawn(move || check(&path))).collect();
        threads.into_iter().map(|thread| thread.join().expect("checked")).collect()
    });
    let mut total = Count::default();
    let mut faults = String::new();
    for result in results {
        match result {
            Ok(count) => total.add(count),
            Err(fault) => {
                let _ = writeln!(faults, "{fault}");
            }
        }
    }
    assert!(faults.is_empty(), "\n{faults}");
    println!("{total:?}");
    assert!(total.run > 4 * total.not_run, "too much of the documents is not run: {total:?}");
}

/// How many blocks were run, and how many say why not.
#[derive(Debug, Default)]
struct Count {
    run: usize,
    not_run: usize,
}

impl Count {
    fn add(&mut self, other: Count) {
        self.run += other.run;
        self.not_run += other.not_run;
    }
}

fn documents() -> Vec<PathBuf> {
    let root = project_root();
    let mut found = vec![root.join("README.md"), root.join("policies/README.md")];
    let docs = std::fs::read_dir(root.join("docs")).expect("docs");
    found.extend(docs.flatten().map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "md")));
    found.sort();
    found
}

fn check(path: &Path) -> Result<Count, String> {
    let name = path.strip_prefix(project_root()).unwrap_or(path).display().to_string();
    let about = |fault: String| format!("{name}: {fault}");
    let text = std::fs::read_to_string(path).map_err(|e| about(e.to_string()))?;
    let blocks = blocks(&text).map_err(about)?;
    let mut count = Count::default();
    let mut faults = String::new();
    let desk = Desk::new();
    for block in &blocks {
        if block.not_run.is_some() {
            count.not_run += 1;
        } else if block.language != "text" {
            if let Err(fault) = desk.run(block) {
                let _ = writeln!(faults, "{name}:{}: {fault}", block.line);
            }
            count.run += 1;
        }
    }
    if faults.is_empty() {
        Ok(count)
    } else {
        Err(faults)
    }
}

/// Where a document's commands are run.
struct Desk {
    scratch: Scratch,
    directory: PathBuf,
    network: Network,
}

impl Desk {
    fn new() -> Desk {
        let scratch = Scratch::new("docs");
        let directory = scratch.directory("repy-launch", None);
        let copy = |from: &str| {
            let to = directory.join(from);
            std::fs::create_dir_all(&to).expect("a directory");
            for entry in std::fs::read_dir(project_root().join(from)).expect("a directory").flatten() {
                if entry.path().is_file() {
                    std::fs::copy(entry.path(), to.join(entry.file_name())).expect("copied");
                    std::fs::copy(entry.path(), directory.join(entry.file_name())).expect("copied");
                }
            }
        };
        copy("policies");
        copy("examples");
        // Not in the vessel, whose size counts: these are not stripped as those of a release are.
        let programs = scratch.directory("bin", None);
        for name in ["repy-launch", "repy-interp"] {
            std::fs::copy(integration::bin(name), programs.join(name)).expect("copied");
        }
        std::os::unix::fs::symlink("repy-launch", programs.join("repy")).expect("linked");
        scratch.directory("home", None);
        let mut network = Network::new("docs").expect("root");
        // Nobody else's runs are listed there, and none of them has the names that a document gives.
        network.shell("mkdir -p /run/repy-launch && mount -t tmpfs -o mode=700 none /run/repy-launch");
        let mut names = format!("{SERVER_ADDRESS} www.google.com www.wikipedia.com\n");
        let time = std::fs::read_to_string(directory.join("example.4.2.repy")).expect("the example");
        for name in time.split('"').filter(|word| word.contains('.') && !word.contains(' ')) {
            let _ = writeln!(names, "{SERVER_ADDRESS} {name}");
        }
        network.names(&names, "");
        network.serve(&["http", &format!("{SERVER_ADDRESS}:80")]);
        network.serve(&["ntp", &format!("{SERVER_ADDRESS}:123")]);
        Desk { scratch, directory, network }
    }

    fn run(&self, block: &Block) -> Result<(), String> {
        if let Some(name) = &block.file {
            std::fs::write(self.directory.join(name), &block.text).map_err(|e| e.to_string())?;
        }
        let file = block.file.as_deref();
        match block.language.as_str() {
            "console" => self.console(block),
            "sh" => self.script(&block.text).map(|_| ()),
            "repy" if file.is_some() => Ok(()),
            "repy" => {
                std::fs::write(self.directory.join("block.repy"), &block.text).map_err(|e| e.to_string())?;
                self.script("repy-launch --policy restrictions.test block.repy").map(|_| ())
            }
            "restrictions" => {
                let name = file.unwrap_or("restrictions.block");
                std::fs::write(self.directory.join(name), &block.text).map_err(|e| e.to_string())?;
                self.script(&format!("repy-launch check {name}")).map(|_| ())
            }
            other => Err(format!("nobody knows how to run {other:?}; mark it not-run, or text")),
        }
    }

    fn console(&self, block: &Block) -> Result<(), String> {
        let steps = block.steps()?;
        let mut script = String::new();
        for step in &steps {
            let mark = format!("status=$?; printf '\\n%s{SEPARATOR}' $status; (exit $status)");
            let _ = writeln!(script, "{}\n{mark}", step.command);
        }
        let printed = self.script(&format!("{script}true"))?;
        let outputs: Vec<&str> = printed.split(SEPARATOR).collect();
        for (index, step) in steps.iter().enumerate() {
            let (output, status) = outputs
                .get(index)
                .and_then(|text| text.rsplit_once('\n'))
                .ok_or_else(|| format!("`{}` ended the shell:\n{printed}", step.command))?;
            let asked = steps.get(index + 1).is_some_and(|next| next.command == "echo $?");
            if status != "0" && !asked {
                return Err(format!("`{}` ended with {status}:\n{output}", step.command));
            }
            let lines: Vec<&str> = match output {
                "" => Vec::new(),
                text => text.strip_suffix('\n').unwrap_or(text).split('\n').collect(),
            };
            if !step.shown.is_empty() && !agrees(&step.shown, &lines) {
                return Err(format!(
                    "`{}` prints:\n{output}\nand the document shows:\n{}",
                    step.command,
                    step.shown.join("\n")
                ));
            }
        }
        Ok(())
    }

    /// Runs a script; what it printed, into a file so that nothing it leaves behind can hold us.
    /// What it started has ended when this returns: the next one may want the same ports.
    fn script(&self, text: &str) -> Result<String, String> {
        let output = self.scratch.join("output");
        let script = self.scratch.write(
            "script",
            format!(
                "cd {0} || exit 1\nexport PATH={2}:$PATH REPY={0} HOME={1} NO_COLOR=1\n{text}\nstatus=$?\n\
                 jobs -p | xargs -r kill 2>/dev/null\nwait\nexit $status\n",
                self.directory.display(),
                self.scratch.join("home").display(),
                self.scratch.join("bin").display()
            ),
        );
        let mut command = self.network.command("bash");
        command
            .arg("-c")
            .arg("exec timeout -k 5 170 bash \"$1\" >\"$2\" 2>&1")
            .arg("bash")
            .arg(&script)
            .arg(&output);
        let run = finish(command, Duration::from_secs(180));
        let printed = String::from_utf8_lossy(&std::fs::read(&output).unwrap_or_default()).into_owned();
        if run.code() == 0 {
            Ok(printed)
        } else {
            Err(format!("ended with {}:\n{printed}\n{text}", run.code()))
        }
    }
}
