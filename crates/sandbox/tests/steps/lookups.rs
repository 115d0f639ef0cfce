//! What a step finds at a path whose directories and links it exchanges while it goes on using them.

use crate::Test;
use crate::setting::{Setting, Who};

pub(crate) const TESTS: &[Test] = &[
    ("an_exchanged_link_leads_to_the_new_place", Who::ALL, an_exchanged_link_leads_elsewhere),
    ("a_directory_made_anew_is_another_one", Who::ALL, a_directory_made_anew_is_another_one),
    ("a_link_in_place_of_a_directory_is_followed", Who::ALL, a_link_in_place_of_a_directory_is_followed),
    ("what_was_moved_is_found_where_it_is", Who::ALL, what_was_moved_is_found_where_it_is),
    ("a_link_is_removed_wherever_its_directory_went", Who::ALL, a_link_is_removed_wherever_it_is),
    ("a_removed_directory_leads_nowhere", Who::ALL, a_removed_directory_leads_nowhere),
    ("a_pipe_is_no_directory", Who::ALL, a_pipe_is_no_directory),
    ("a_loop_of_links_is_an_error_each_time", Who::ALL, a_loop_of_links_is_an_error_each_time),
];

/// In a directory with the directories `one` and `two`, each with its own name in the file `name`.
fn output(setting: &Setting, script: &str) -> String {
    let prepared = "mkdir /home/it; cd /home/it; mkdir one two; echo one > one/name; echo two > two/name; ";
    setting.output_of(&format!("{prepared}{script}"))
}

fn an_exchanged_link_leads_elsewhere(setting: &Setting) {
    let script = "ln -s one l; cat l/name /home/it/l/name; rm l; ln -s two l; cat l/name /home/it/l/name; \
        ln -s one new; mv -T new l; cat l/name; ln -s /home/it/two /home/it/one/deep; cat one/deep/name; \
        rm one/deep; mkdir one/deep; echo deep > one/deep/name; cat one/deep/name; rm l; cat l/name || echo none";
    assert_eq!(output(setting, script), "one\none\ntwo\ntwo\none\ntwo\ndeep\nnone\n");
}

fn a_directory_made_anew_is_another_one(setting: &Setting) {
    let script = "mkdir gone; (cd gone; mkdir sub; echo old > sub/name; cat sub/name ../one/name; \
        rm -r ../gone; mkdir -p /home/it/gone/sub; echo new > /home/it/gone/sub/name; cat /home/it/gone/sub/name; \
        cat sub/name || echo lost)";
    assert_eq!(output(setting, script), "old\none\nnew\nlost\n");
}

fn a_link_in_place_of_a_directory_is_followed(setting: &Setting) {
    let script = "mkdir a other other/below; echo other > other/name; echo here > name; \
        cat a/../name /home/it/a/../name; rmdir a; cat a/../name || echo none; ln -s other/below a; \
        cat a/../name /home/it/a/../name; rm a; touch a; cat a/../name || echo none";
    assert_eq!(output(setting, script), "here\nhere\nnone\nother\nother\nnone\n");
}

fn what_was_moved_is_found_where_it_is(setting: &Setting) {
    let script = "mkdir -p deep/a/b; echo deep > deep/name; echo flat > name; ln -s one deep/a/l; \
        (cd deep/a; cat ../name b/../../name; mv ../a /home/it/a; cat ../name b/../../name; pwd -P; \
        mkdir -p ../deep/a/one; echo wrong > ../deep/a/one/name; ln -s one ../deep/a/l; cat l/name || echo none); \
        mv one three; cat one/name || echo none; cat three/name; mv two one; cat /home/it/one/name";
    let expected = "deep\ndeep\nflat\nflat\n/home/it/a\nnone\nnone\none\ntwo\n";
    assert_eq!(output(setting, script), expected);
}

fn a_link_is_removed_wherever_it_is(setting: &Setting) {
    let script = "mkdir d; ln -s ../one d/l; (cd d; mv ../d ../e; cat /home/it/e/l/name; rm l; mkdir /home/it/e/l; \
        echo new > /home/it/e/l/name; cat /home/it/e/l/name l/name)";
    assert_eq!(output(setting, script), "one\nnew\nnew\n");
}

fn a_removed_directory_leads_nowhere(setting: &Setting) {
    let script = "mkdir d; (cd d; rmdir ../d; mkdir /home/it/d; ln -s ../one /home/it/d/l; cat /home/it/d/l/name; \
        cat l/name || echo none; echo lost > l/lost; rm -f l/name; ls ../one); ls one";
    assert_eq!(output(setting, script), "one\nnone\nname\nname\n");
}

fn a_pipe_is_no_directory(setting: &Setting) {
    let script = "ln -s one l; cat /home/it/l/name one/name; \
        for path in home/it/one/name home/it/l/name; do echo | cat /proc/self/fd/0/$path 2>&1 | sed 's/.*: //'; done";
    assert_eq!(output(setting, script), "one\none\nNot a directory\nNot a directory\n");
}

fn a_loop_of_links_is_an_error_each_time(setting: &Setting) {
    let script = "ln -s b a; ln -s a b; ln -s c/x c; for i in 1 2 3; do cat a 2>&1; cat c 2>&1; done; rm b; mkdir b; \
        echo end > b/name; cat a/name";
    let once = "cat: can't open 'a': Too many levels of symbolic links\n\
        cat: can't open 'c': Too many levels of symbolic links\n";
    assert_eq!(output(setting, script), format!("{once}{once}{once}end\n"));
}
